// hello: the smallest application in C++.
#include <supervisor/app.hpp>

struct Hello : supervisor::HttpApp {
  supervisor::Response handle(const supervisor::Request&) override { return {200, "hello\n"}; }
};
SUPERVISOR_APP(Hello)
