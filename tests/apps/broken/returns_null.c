/* returns_null: an application that refuses to be described, with a reason. */
#include "minimal.h"

const supervisor_app* supervisor_application(const supervisor_host* table) {
  host = table;
  FAIL("no licence");
  if (minimal.self == NULL) return NULL;
  return &minimal;
}
