/* handler_unknown: an application whose handlers want threads, which this version does not offer. */
#include "minimal.h"

const supervisor_app* supervisor_application(const supervisor_host* table) {
  host = table;
  minimal.handler = 2;
  return &minimal;
}
