// Fd text: lines and indentation.
#include "master/fd_text.h"

#include <initializer_list>
#include <string_view>

#include "common/format.h"
#include "master/json_view.h"
#include "master/status_text.h"

namespace master {
namespace {

using common::Json;

// "a, b" of what is there.
std::string joined(std::initializer_list<std::string> parts, std::string_view between) {
  std::string text;
  for (const std::string& part : parts) {
    if (!part.empty()) text += (text.empty() ? "" : std::string(between)) + part;
  }
  return text;
}

std::string text_or_nothing(const Json& value) { return value.is_null() ? "" : plain(value); }

std::string heading(const Json& report) {
  const std::string worker =
      common::format("slot {}, pid {}", plain(member(report, {"slot"})), plain(member(report, {"pid"})));
  const Json& error = member(report, {"error"});
  if (!error.is_null()) return common::format("{}: {}\n", worker, plain(error));
  return common::format("{}, generation {}: {} descriptors: {} of the server, {} from the start, {} grown\n", worker,
                        plain(member(report, {"generation"})), plain(member(report, {"fds", "total"})),
                        plain(member(report, {"fds", "owned"})), plain(member(report, {"fds", "baseline"})),
                        plain(member(report, {"fds", "leaked"})));
}

// One frame is part of the group's text already.
std::string stack_lines(const Json& stack, std::string_view indentation) {
  std::string text;
  if (!stack.is_array()) return text;
  for (const Json& frame : stack) text += common::format("{}{}\n", indentation, plain(frame));
  return text;
}

// The text is the inspector's; without it, what can be said all the same.
std::string group_lines(const Json& group) {
  std::string line = text_or_nothing(member(group, {"text"}));
  if (line.empty()) {
    line = common::format("{} x {}", plain(member(group, {"count"})),
                          joined({plain(member(group, {"kind"})), text_or_nothing(member(group, {"state"})),
                                  text_or_nothing(member(group, {"peer"})), text_or_nothing(member(group, {"path"}))},
                                 " "));
  }
  const Json& stack = member(group, {"stack"});
  return common::format("  {}\n{}", line, stack.size() > 1 ? stack_lines(stack, "      ") : "");
}

std::string groups_of(const Json& report) {
  std::string application;
  std::string server;
  for (const Json& group : member(report, {"groups"})) {
    if (!group.is_object()) continue;
    (member(group, {"owner"}) == "server" ? server : application) += group_lines(group);
  }
  return application + server;
}

std::string what_the_worker_does(const Json& report) {
  std::string text;
  const Json& spinning = member(report, {"spinning"});
  if (spinning.is_object()) {
    const std::string words = text_or_nothing(member(spinning, {"text"}));
    text += words.empty() ? common::format("  spinning: on descriptor {} in epoll {}\n",
                                           plain(member(spinning, {"fd"})), plain(member(spinning, {"epoll_fd"})))
                          : common::format("  spinning: {}\n", words);
  }
  const Json& stack = member(report, {"stack"});
  if (stack.is_array() && !stack.empty()) text += "  stack:\n" + stack_lines(stack, "      ");
  return text;
}

std::string address_pair(const Json& descriptor) {
  return joined({text_or_nothing(member(descriptor, {"local"})), text_or_nothing(member(descriptor, {"peer"}))},
                " -> ");
}

std::string descriptor_line(const Json& descriptor) {
  std::string thing = text_or_nothing(member(descriptor, {"text"}));
  if (thing.empty()) {
    thing = joined(
        {plain(member(descriptor, {"kind"})), text_or_nothing(member(descriptor, {"state"})), address_pair(descriptor),
         text_or_nothing(member(descriptor, {"path"})), member(descriptor, {"deleted"}) == true ? "(deleted)" : ""},
        " ");
  }
  const Json& age = member(descriptor, {"age_s"});
  const Json& opened_at = member(descriptor, {"opened_at"});
  const std::string what = joined(
      {thing, member(descriptor, {"owner"}) == "server" ? "of the server" : "",
       text_or_nothing(member(descriptor, {"role"})), age.is_number() ? render_age(age.get<double>()) + " old" : "",
       opened_at.is_string() ? "opened at " + plain(opened_at) : ""},
      ", ");
  return common::format("  {:>7}  {}\n", plain(member(descriptor, {"fd"})), what);
}

// "  and 12 more groups", or nothing.
std::string left_out(const Json& count, std::string_view what) {
  return count.is_number() && count != 0 ? common::format("  and {} more {}\n", plain(count), what) : "";
}

std::string descriptors_of(const Json& report) {
  if (member(report, {"descriptors_omitted"}) == true) return "  too many descriptors to list them\n";
  std::string text;
  for (const Json& descriptor : member(report, {"descriptors"})) {
    if (descriptor.is_object()) text += descriptor_line(descriptor);
  }
  return text + left_out(member(report, {"descriptors_left_out"}), "descriptors");
}

// What the inspector could not look at.
std::string complaints_of(const Json& report) {
  const Json& complaints = member(report, {"complaints"});
  std::string text;
  if (!complaints.is_array()) return text;
  for (const Json& complaint : complaints) text += common::format("  note: {}\n", plain(complaint));
  return text;
}

std::string render_report(const Json& report, FdDetail detail) {
  std::string text = heading(report) + groups_of(report);
  text += left_out(member(report, {"groups_left_out"}), "groups");
  text += what_the_worker_does(report);
  if (detail == FdDetail::kAll) text += descriptors_of(report);
  return text + complaints_of(report);
}

}  // namespace

std::string render_fds(const Json& answer, FdDetail detail) {
  const Json& workers = member(answer, {"workers"});
  if (!workers.is_array()) return render_report(answer, detail);
  if (workers.empty()) return "no worker serves now\n";
  std::string text;
  for (const Json& report : workers) text += (text.empty() ? "" : "\n") + render_report(report, detail);
  return text;
}

}  // namespace master
