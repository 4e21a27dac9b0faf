// identity: an application that says who it is, and leaves a file as a trace of who it was in load().
//
// [app] file = "PATH": load() makes it. GET /load and GET /now: ids, groups and umask, then and there.
// GET /make?path=PATH: makes a file. GET /regain: whether root's rights can be had back. GET /crash: a real SIGSEGV.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <stdexcept>
#include <string>
#include <supervisor/app.hpp>
#include <vector>

namespace {

using supervisor::Request;
using supervisor::Response;

// "uid 33 33 33 gid 33 33 33 groups 33 umask 27", the umask in octal.
std::string describe() {
  uid_t users[3] = {};
  gid_t groups[3] = {};
  if (getresuid(&users[0], &users[1], &users[2]) < 0 || getresgid(&groups[0], &groups[1], &groups[2]) < 0) return "";
  std::string text = "uid";
  for (const uid_t user : users) text += " " + std::to_string(user);
  text += " gid";
  for (const gid_t group : groups) text += " " + std::to_string(group);
  text += " groups";
  std::vector<gid_t> more(64);
  const int count = getgroups(static_cast<int>(more.size()), more.data());
  for (int i = 0; i < count; ++i) text += " " + std::to_string(more[static_cast<std::size_t>(i)]);
  const mode_t mask = umask(0);
  umask(mask);
  char octal[16];
  std::snprintf(octal, sizeof octal, "%o", static_cast<unsigned>(mask));
  return text + " umask " + octal;
}

void make(const std::string& path) {
  const int fd = open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666);
  if (fd < 0) throw std::runtime_error(path + " cannot be made, errno " + std::to_string(errno));
  close(fd);
}

struct Identity : supervisor::HttpApp {
  void load(const supervisor::Config& config) override {
    loaded = describe();
    if (const auto file = config.get<std::string>("file")) make(*file);
  }

  Response handle(const Request& request) override {
    const std::string path(request.path());
    if (path == "/load") return {200, loaded};
    if (path == "/now") return {200, describe()};
    if (path == "/regain") return {200, setresuid(0, 0, 0) == 0 || setuid(0) == 0 ? "yes" : "no"};
    if (path == "/make") {
      constexpr std::string_view kPath = "path=";
      make(std::string(request.target().substr(request.target().find(kPath) + kPath.size())));
      return {200, "made"};
    }
    if (path == "/crash") std::raise(SIGSEGV);
    return {404, "unknown"};
  }

  std::string loaded;
};

}  // namespace
SUPERVISOR_APP(Identity)
