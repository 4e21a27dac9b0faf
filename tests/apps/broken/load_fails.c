/* load_fails: an application whose load fails, with a reason. */
#include "minimal.h"

static int load(void* self) {
  (void)self;
  FAIL("the model is missing");
  return 7;
}

const supervisor_app* supervisor_application(const supervisor_host* table) {
  host = table;
  minimal.load = load;
  return &minimal;
}
