/* load_fails_silently: an application whose load fails and does not say why. */
#include "minimal.h"

static int load(void* self) {
  (void)self;
  return 7;
}

const supervisor_app* supervisor_application(const supervisor_host* table) {
  host = table;
  minimal.load = load;
  return &minimal;
}
