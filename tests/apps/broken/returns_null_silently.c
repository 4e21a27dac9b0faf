/* returns_null_silently: an application that refuses to be described and does not say why. */
#include "minimal.h"

const supervisor_app* supervisor_application(const supervisor_host* table) {
  host = table;
  if (minimal.self == NULL) return NULL;
  return &minimal;
}
