/* closes_descriptors: an application that closes every descriptor from 3 up, the server's among them, when asked. */
#define _GNU_SOURCE
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "minimal.h"

static void handle(void* self, supervisor_request* request) {
  const supervisor_str target = host->request_info(request)->target;
  if (target.len == 6 && memcmp(target.data, "/close", 6) == 0) close_range(3, UINT_MAX, 0);
  answer_hello(self, request);
}

const supervisor_app* supervisor_application(const supervisor_host* table) {
  host = table;
  minimal.handle = handle;
  return &minimal;
}
