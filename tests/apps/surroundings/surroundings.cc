// Surroundings: an application that tells which environment variables and listening sockets it finds.
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <supervisor/app.hpp>

extern char** environ;

namespace {

std::string variables() {
  std::string text;
  for (char** variable = environ; *variable != nullptr; ++variable) text += std::string(*variable) + "\n";
  return text;
}

struct Surroundings : supervisor::HttpApp {
  void load(const supervisor::Config&) override {
    at_load = variables();
    for (int fd = 0; fd < 1024; ++fd) {
      int listens = 0;
      socklen_t size = sizeof listens;
      if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens != 0) {
        at_load += "LISTENER=" + std::to_string(fd) + "\n";
      }
    }
  }
  supervisor::Response handle(const supervisor::Request&) override { return {200, at_load + variables()}; }
  std::string at_load;
};

}  // namespace

SUPERVISOR_APP(Surroundings)
