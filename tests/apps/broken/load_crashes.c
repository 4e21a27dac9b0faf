/* load_crashes: an application that dies in load. */
#include <signal.h>

#include "minimal.h"

static int load(void* self) {
  (void)self;
  raise(SIGSEGV);
  return 0;
}

const supervisor_app* supervisor_application(const supervisor_host* table) {
  host = table;
  minimal.load = load;
  return &minimal;
}
