// SocketProgram: setsockopt(2).
#include "master/socket_program.h"

#include <sys/socket.h>

#include <cerrno>
#include <string_view>
#include <utility>

#include "master/steering.h"

namespace master {
namespace {

common::Result<void> attach(int fd, int option, std::string_view name, std::vector<sock_filter> program) {
  const sock_fprog whole{.len = static_cast<unsigned short>(program.size()), .filter = program.data()};
  if (setsockopt(fd, SOL_SOCKET, option, &whole, sizeof whole) == 0) return {};
  return common::fail_errno(name, errno);
}

// Linux 5.3.
bool detach_choice(int member) {
  const int unused = 0;
  return setsockopt(member, SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, &unused, sizeof unused) == 0 || errno == ENOENT;
}

}  // namespace

common::Result<void> attach_choice(int member, const std::vector<sock_filter>& program) {
  if (program.empty() && detach_choice(member)) return {};
  return attach(member, SO_ATTACH_REUSEPORT_CBPF, "SO_ATTACH_REUSEPORT_CBPF",
                program.empty() ? no_choice_program() : program);
}

common::Result<void> attach_filter(int fd, std::vector<sock_filter> program) {
  return attach(fd, SO_ATTACH_FILTER, "SO_ATTACH_FILTER", std::move(program));
}

void detach_filter(int fd) {
  const int unused = 0;
  setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof unused);
}

}  // namespace master
