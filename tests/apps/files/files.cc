// files.so: opens and closes two files per request and answers hello; the load on which tracing is measured.
#include <fcntl.h>
#include <unistd.h>

#include <supervisor/app.hpp>

namespace {

bool open_and_close(const char* path) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  return fd >= 0 && close(fd) == 0;
}

struct Files : supervisor::HttpApp {
  supervisor::Response handle(const supervisor::Request&) override {
    if (!open_and_close("/etc/passwd") || !open_and_close("/etc/group")) return {500, "no file\n"};
    return {200, "hello\n"};
  }
};

}  // namespace

SUPERVISOR_APP(Files)
