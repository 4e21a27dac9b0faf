// exceptions_escape: an application that lets exceptions cross the C interface, which forbids it.
#include <stdexcept>

#include "minimal.h"

const supervisor_app* supervisor_application(const supervisor_host* table) {
  host = table;
  minimal.load = [](void*) -> int { throw std::runtime_error("escaped from load"); };
  minimal.worker_start = [](void*, const supervisor_worker_info*) -> int { throw 42; };
  minimal.worker_stop = [](void*) { throw std::runtime_error("escaped from worker_stop"); };
  minimal.handle = [](void*, supervisor_request*) { throw std::runtime_error("escaped from handle"); };
  return &minimal;
}
