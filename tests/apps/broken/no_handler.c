/* no_handler: an application without a handler. */
#include "minimal.h"

const supervisor_app* supervisor_application(const supervisor_host* table) {
  host = table;
  minimal.handle = NULL;
  return &minimal;
}
