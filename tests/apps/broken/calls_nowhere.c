/* calls_nowhere: an application whose every request calls a function through a pointer that is NULL. */
#include "minimal.h"

static void (*volatile forgotten)(void);

static void call_what_was_forgotten(void) {
  forgotten();
  forgotten();
}

static void handle(void* self, supervisor_request* request) {
  call_what_was_forgotten();
  answer_hello(self, request);
}

const supervisor_app* supervisor_application(const supervisor_host* table) {
  host = table;
  minimal.handle = handle;
  return &minimal;
}
