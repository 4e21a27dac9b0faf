/* size_too_small: an application whose description ends before its handler. */
#include "minimal.h"

const supervisor_app* supervisor_application(const supervisor_host* table) {
  host = table;
  minimal.size = offsetof(supervisor_app, handle);
  return &minimal;
}
