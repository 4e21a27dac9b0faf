// app.h and app.hpp as a C++20 application sees them, and agreement with C.
#include <cstdio>
#include <cstring>
#include <string_view>
#include <supervisor/app.hpp>

#include "layout.h"

static_assert(__cplusplus == 202002L, "this file stands for applications in C++20");

extern "C" size_t size_of_app_in_c(void);

namespace {

struct Hello : supervisor::HttpApp {
  supervisor::Response handle(const supervisor::Request&) override { return {200, "hello\n"}; }
};

int status_sent = 0;
std::string_view body_sent;

int respond(supervisor_request*, const supervisor_response* response) {
  status_sent = response->status;
  // Only a literal can be looked at after the handler: compare here.
  body_sent = supervisor::to_view(response->body) == "hello\n" ? "hello\n" : "";
  return 0;
}

int expect(bool condition, const char* claim) {
  if (!condition) std::fprintf(stderr, "false: %s\n", claim);
  return condition ? 0 : 1;
}

}  // namespace

SUPERVISOR_APP(Hello)

int main() {
  supervisor_host host = {};
  host.respond = respond;
  const supervisor_app* const app = supervisor_application(&host);
  int failures = expect(size_of_app_in_c() == sizeof(supervisor_app), "C and C++ agree on the size of supervisor_app");
  failures += expect(app->abi_version == SUPERVISOR_ABI_VERSION, "the description has the header's version");
  failures += expect(std::strcmp(app->name, "Hello") == 0, "the application is named after its class");
  app->handle(app->self, nullptr);
  failures += expect(status_sent == 200 && body_sent == "hello\n", "what handle() returns is what respond() gets");
  return failures == 0 ? 0 : 1;
}
