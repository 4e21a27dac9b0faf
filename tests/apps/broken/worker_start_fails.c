/* worker_start_fails: an application that loads, and fails in every worker with a reason. */
#include "minimal.h"

static int worker_start(void* self, const supervisor_worker_info* info) {
  (void)self;
  (void)info;
  FAIL("no database");
  return 1;
}

const supervisor_app* supervisor_application(const supervisor_host* table) {
  host = table;
  minimal.worker_start = worker_start;
  return &minimal;
}
