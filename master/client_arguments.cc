// Client arguments: which verb needs what.
#include "master/client_arguments.h"

#include <charconv>
#include <limits>
#include <optional>
#include <string_view>

#include "common/config.h"
#include "common/format.h"

namespace master {
namespace {

using Words = std::vector<std::string>;

constexpr std::uint32_t kFdMax = std::numeric_limits<int>::max();

// The last of `texts`, or nothing and what is wrong with it.
std::optional<std::uint32_t> read_number(std::string_view name, const Words& texts, std::uint32_t min,
                                         std::uint32_t max, Words& mistakes) {
  const std::string& text = texts.back();
  std::uint32_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error == std::errc() && rest == end && number >= min && number <= max) return number;
  mistakes.push_back(common::format("{} \"{}\": must be a number from {} to {}", name, text, min, max));
  return std::nullopt;
}

void read_slot(ClientRequest& request, const ClientArguments& arguments, Words& mistakes) {
  request.slot = read_number("--slot", arguments.slots, 0, common::kWorkersMax - 1, mistakes);
}

void read_fd(ClientRequest& request, const ClientArguments& arguments, Words& mistakes) {
  if (arguments.fds.empty()) {
    mistakes.emplace_back("close-fd: which descriptor? Say --fd M; supervisor fds --all lists them");
    return;
  }
  request.fd = read_number("--fd", arguments.fds, 0, kFdMax, mistakes).value_or(0);
}

void read_workers(ClientRequest& request, ClientArguments& arguments, Words& mistakes) {
  Words numbers = arguments.workers;  // --workers N and plain N mean the same
  if (numbers.empty() && !arguments.positionals.empty()) {
    numbers.push_back(arguments.positionals.front());
    arguments.positionals.erase(arguments.positionals.begin());
  }
  if (numbers.empty()) {
    mistakes.emplace_back("scale: how many workers? Say supervisor scale N");
    return;
  }
  request.workers = read_number("scale", numbers, 1, common::kWorkersMax, mistakes).value_or(0);
}

}  // namespace

ClientRequest read_client_request(ClientVerb verb, ClientArguments& arguments, std::vector<std::string>& mistakes) {
  ClientRequest request;
  request.verb = verb;
  request.form = arguments.json ? OutputForm::kJson : OutputForm::kText;
  request.how = arguments.shutdown ? CloseHow::kShutdown : CloseHow::kClose;
  request.detail = arguments.all ? FdDetail::kAll : FdDetail::kGroups;
  const bool has_slot = !arguments.slots.empty();
  switch (verb) {
    case ClientVerb::kStatus:
    case ClientVerb::kReload:
    case ClientVerb::kStop: break;
    case ClientVerb::kFds:
      if (has_slot) read_slot(request, arguments, mistakes);
      break;
    case ClientVerb::kRecycle:
      if (!has_slot) mistakes.emplace_back("recycle: which worker? Say --slot N");
      if (has_slot) read_slot(request, arguments, mistakes);
      break;
    case ClientVerb::kCloseFd:
      if (!has_slot) mistakes.emplace_back("close-fd: of which worker? Say --slot N");
      if (has_slot) read_slot(request, arguments, mistakes);
      read_fd(request, arguments, mistakes);
      break;
    case ClientVerb::kScale: read_workers(request, arguments, mistakes); break;
  }
  return request;
}

}  // namespace master
