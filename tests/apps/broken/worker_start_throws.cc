// worker_start_throws: an application that loads, and fails in every worker as C++ does.
#include <stdexcept>
#include <supervisor/app.hpp>

struct WorkerStartThrows : supervisor::HttpApp {
  void worker_start(const supervisor::WorkerInfo&) override { throw std::runtime_error("no database"); }
  supervisor::Response handle(const supervisor::Request&) override { return {200, "hello\n"}; }
};
SUPERVISOR_APP(WorkerStartThrows)
