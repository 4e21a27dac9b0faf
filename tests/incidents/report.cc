// Report: asking, and finding lines.
#include "report.h"

#include <gtest/gtest.h>

#include <sstream>

#include "support/process_table.h"

namespace incidents {
namespace {

using common::Json;

constexpr std::string_view kSource = "tests/apps/torture/descriptors.cc";

Json ask(const support::SupervisorProcess& server, const std::string& target) {
  const support::HttpResponse answer = server.control("GET", target);
  EXPECT_EQ(answer.status, 200) << target << ": " << answer.body;
  return answer.status == 200 ? Json::parse(answer.body) : Json::object();
}

int marked_line(std::string_view kind) {
  std::istringstream source(support::read_text(SUPERVISOR_SOURCE_DIR "/" + std::string(kSource)));
  const std::string marker = "// leak: " + std::string(kind);
  int number = 1;
  for (std::string line; std::getline(source, line); ++number) {
    if (line.ends_with(marker)) return number;
  }
  ADD_FAILURE() << "no line of " << kSource << " ends in " << marker;
  return 0;
}

}  // namespace

Json status_of(const support::SupervisorProcess& server) { return ask(server, "/status"); }

Json fds_of(const support::SupervisorProcess& server, int slot) {
  return ask(server, "/fds?slot=" + std::to_string(slot));
}

Json wait_recycle(const support::SupervisorProcess& server, std::string_view reason) {
  Json found = Json::object();
  const bool is_there = support::wait_until([&] {
    for (const Json& recycle : status_of(server).value("recycles", Json::array())) {
      if (recycle.at("reason") != reason || recycle.at("groups").is_null()) continue;
      found = recycle;
      return true;
    }
    return false;
  });
  EXPECT_TRUE(is_there) << "no report of a worker recycled for " << reason << ": " << status_of(server).dump(1);
  return found;
}

Json groups_opened_at(const Json& inspection, std::string_view kind) {
  const int line = marked_line(kind);
  Json found = Json::array();
  for (const Json& group : inspection.value("groups", Json::array())) {
    const Json place = group.value("opened_at", Json());
    if (!place.is_object() || !place.value("file", "").ends_with("descriptors.cc")) continue;
    if (place.value("line", 0) == line) found.push_back(group);
  }
  return found;
}

int count_opened_at(const Json& inspection, std::string_view kind) {
  int count = 0;
  for (const Json& group : groups_opened_at(inspection, kind)) count += group.value("count", 0);
  return count;
}

}  // namespace incidents
