// Replies about descriptors: status codes and words.
#include "master/fd_replies.h"

#include <unistd.h>

#include <cerrno>

#include "common/format.h"

namespace master {
namespace {

using common::Json;

ControlReply done(const Json& body) {
  return {.status = 200, .body = body.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"};
}

// What a refusal of the kernel means to someone who wanted to close a descriptor.
std::string words_for(int errnum, CloseHow how) {
  switch (errnum) {
    case EBADF: return "is not open";
    case EPERM: return "is the server's own, it stays; see supervisor fds";
    case ENOTSOCK: return "is no socket; close it instead (how=close)";
    case ENOTCONN: return "is a socket without a connection; close it instead (how=close)";
  }
  return common::format("{}: {}", name_of(how), common::errno_text(errnum));
}

}  // namespace

ControlReply no_worker_reply(SlotIndex slot, std::uint32_t slots) {
  if (slot < slots) return control_error(409, common::format("slot {}: no worker serves there now", slot));
  return control_error(404, common::format("slot {}: there is none; slots are 0 to {}", slot, slots - 1));
}

ControlReply fds_reply(const common::Result<Json>& reports) {
  if (!reports) return control_error(503, reports.error().message);
  return done(Json{{"workers", *reports}});
}

ControlReply slot_fds_reply(SlotIndex slot, const common::Result<Json>& reports) {
  if (!reports) return control_error(503, reports.error().message);
  if (!reports->is_array() || reports->empty()) return no_worker_reply(slot, slot + 1);
  const Json& report = reports->front();
  if (const auto error = report.find("error"); error != report.end() && error->is_string()) {
    return control_error(409, common::format("slot {}: {}", slot, error->get_ref<const std::string&>()));
  }
  return done(report);
}

std::optional<ControlReply> refuse_close(SlotIndex slot, int fd, const common::FdNote& note) {
  if (fd <= STDERR_FILENO) {
    return control_error(409, common::format("slot {}: descriptor {} is a standard stream; what is opened next would "
                                             "take its place",
                                             slot, fd));
  }
  if (note.owner != common::FdOwner::kServer) return std::nullopt;
  const std::string_view role = note.role == common::FdRole::kNone ? "" : common::role_name(note.role);
  return control_error(409, common::format("slot {}: descriptor {} {}{}{}", slot, fd, words_for(EPERM, {}),
                                           role.empty() ? "" : "; role: ", role));
}

ControlReply close_reply(SlotIndex slot, int fd, CloseHow how, const common::Result<int>& errnum) {
  if (!errnum) {
    return control_error(errnum.error().errnum == ETIMEDOUT ? 504 : 409,
                         common::format("slot {}: descriptor {}: {}", slot, fd, errnum.error().message));
  }
  // close(2) that was interrupted has closed (Linux).
  const bool closed = *errnum == 0 || (how == CloseHow::kClose && *errnum == EINTR);
  if (!closed) {
    return control_error(409, common::format("slot {}: descriptor {} {}", slot, fd, words_for(*errnum, how)));
  }
  return done(Json{{"closed", fd}, {"slot", slot}, {"how", name_of(how)}});
}

}  // namespace master
