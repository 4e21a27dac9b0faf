// Verbs: finding the socket, asking, printing.
#include "master/verbs.h"

#include <algorithm>
#include <filesystem>
#include <iostream>

#include "common/format.h"
#include "common/json.h"
#include "master/control_client.h"
#include "master/control_path.h"
#include "master/status_text.h"

namespace master {
namespace {

constexpr int kExitDone = 0;
constexpr int kExitFailed = 1;
// EX_TEMPFAIL (sysexits.h): a reload that a stop cuts short is nobody's mistake, and a unit can say so.
constexpr int kExitStopping = 75;
constexpr int kStatusStopping = 410;

struct Question {
  std::string method;
  std::string target;
  std::string done;  // printed after success; empty = the answer itself is the point
  std::chrono::seconds patience = kControlPatience;
};

Question question_for(const ClientRequest& request) {
  const std::uint32_t slot = request.slot.value_or(0);
  switch (request.verb) {
    case ClientVerb::kStatus: return {"GET", "/status", ""};
    case ClientVerb::kFds:
      return {"GET", request.slot ? common::format("/fds?slot={}", slot) : "/fds", "", kInspectionPatience};
    case ClientVerb::kStop: return {"POST", "/stop", "stopping gracefully"};
    case ClientVerb::kReload: return {"POST", "/reload", "reloaded", kReloadPatience};
    case ClientVerb::kRecycle:
      return {"POST", common::format("/recycle?slot={}", slot),
              common::format("slot {}: replacement of its worker queued", slot)};
    case ClientVerb::kScale: return {"POST", common::format("/scale?workers={}", request.workers), ""};
    case ClientVerb::kCloseFd:
      return {"POST", common::format("/close-fd?slot={}&fd={}&how={}", slot, request.fd, name_of(request.how)),
              common::format("slot {}: descriptor {} {}", slot, request.fd,
                             request.how == CloseHow::kClose ? "closed" : "shut down"),
              kInspectionPatience};
  }
  return {};
}

bool has_socket(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::is_socket(path, ignored);
}

// What cannot be read is as if it were empty: the message then says where nothing was found.
std::vector<std::string> sockets_in(const std::vector<std::string>& directories) {
  std::vector<std::string> found;
  for (const std::string& directory : directories) {
    std::error_code error;
    std::filesystem::directory_iterator entry(directory, error);
    for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
      const std::filesystem::path of_unit = entry->path() / "control.sock";
      if (entry->path().extension() == ".sock" && has_socket(entry->path())) found.push_back(entry->path().string());
      if (has_socket(of_unit)) found.push_back(of_unit.string());
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

int refuse(std::string_view message) {
  std::cerr << "supervisor: " << message << '\n';
  return kExitFailed;
}

std::string refusal_of(const ControlAnswer& answer) {
  const common::Json body = common::Json::parse(answer.body, nullptr, false);
  if (body.is_object() && body.contains("error") && body["error"].is_string()) return body["error"].get<std::string>();
  return common::format("the supervisor answered with status {}", answer.status);
}

// A range in the configuration may have moved the number.
std::string render_scale(std::uint32_t asked, const common::Json& body) {
  const auto becomes = body.find("workers");
  const bool is_told = becomes != body.end() && becomes->is_number_unsigned();
  const std::uint32_t workers = is_told ? becomes->get<std::uint32_t>() : asked;
  const std::string text = common::format("scaling to {} workers", workers);
  return workers == asked ? text : text + common::format(", as near to {} as the configuration allows", asked);
}

std::string render(const ClientRequest& request, const common::Json& body) {
  if (request.verb == ClientVerb::kFds) return render_fds(body, request.detail);
  if (request.verb == ClientVerb::kScale) return render_scale(request.workers, body);
  return render_status(body);
}

int print_answer(const ClientRequest& request, const Question& question, const ControlAnswer& answer) {
  const common::Json body = common::Json::parse(answer.body, nullptr, false);
  if (!body.is_object()) return refuse("the answer is not a whole JSON object; is this a supervisor's control socket?");
  std::string text = answer.body;
  if (request.form == OutputForm::kText) {
    text = question.done.empty() ? render(request, body) : question.done;
  }
  if (!text.ends_with('\n')) text += '\n';
  std::cout << text << std::flush;
  return std::cout ? kExitDone : refuse("cannot write to standard output");
}

}  // namespace

int run_client_verb(const ClientRequest& request) {
  common::Result<std::string> path = request.control_path;
  if (!has_socket(*path) && has_socket(request.unit_control_path)) path = request.unit_control_path;
  if (path->empty()) {
    path = choose_control_path(sockets_in(request.control_directories), request.control_directories);
  }
  if (!path) return refuse(path.error().message);
  const Question question = question_for(request);
  const auto answer = ask_control(*path, question.method, question.target, common::Clock::now(), question.patience);
  if (!answer) return refuse(answer.error().message);
  constexpr int kSuccessMin = 200;
  constexpr int kSuccessMax = 299;
  if (answer->status < kSuccessMin || answer->status > kSuccessMax) {
    const int exit_code = refuse(refusal_of(*answer));
    return answer->status == kStatusStopping ? kExitStopping : exit_code;
  }
  return print_answer(request, question, *answer);
}

}  // namespace master
