/* catches_faults: an application that catches its own SIGSEGV, set up in load(), and leaves with status 42. */
#define _GNU_SOURCE
#include <signal.h>
#include <unistd.h>

#include "minimal.h"

static volatile int* volatile nowhere;

static void on_fault(int signal) {
  (void)signal;
  static const char text[] = "the application caught it\n";
  if (write(STDERR_FILENO, text, sizeof text - 1) < 0) _exit(43);
  _exit(42);
}

static int load(void* self) {
  (void)self;
  signal(SIGSEGV, on_fault);
  return 0;
}

/* It is to be a fault, and not what UBSan makes of one. */
__attribute__((no_sanitize_undefined)) static void handle(void* self, supervisor_request* request) {
  *nowhere = 1;
  answer_hello(self, request);
}

const supervisor_app* supervisor_application(const supervisor_host* table) {
  host = table;
  minimal.load = load;
  minimal.handle = handle;
  return &minimal;
}
