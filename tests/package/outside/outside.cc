// outside_cxx: an application in C++20 whose project knows only the installed package.
#include <supervisor/app.hpp>

static_assert(__cplusplus >= 202002L, "supervisor_add_app asks for C++20 where the project asks for nothing");

struct Outside : supervisor::HttpApp {
  supervisor::Response handle(const supervisor::Request&) override { return {200, "from outside\n"}; }
};
SUPERVISOR_APP(Outside)
