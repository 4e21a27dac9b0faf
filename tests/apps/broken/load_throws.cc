// load_throws: an application whose load reports its failure as C++ does.
#include <stdexcept>
#include <supervisor/app.hpp>

struct LoadThrows : supervisor::HttpApp {
  void load(const supervisor::Config&) override { throw std::runtime_error("the model is missing"); }
  supervisor::Response handle(const supervisor::Request&) override { return {200, "hello\n"}; }
};
SUPERVISOR_APP(LoadThrows)
