// constructor_throws: an application whose object cannot be made.
#include <stdexcept>
#include <supervisor/app.hpp>

struct ConstructorThrows : supervisor::HttpApp {
  ConstructorThrows() { throw std::runtime_error("no licence"); }
  supervisor::Response handle(const supervisor::Request&) override { return {200, "hello\n"}; }
};
SUPERVISOR_APP(ConstructorThrows)
