/* loads_late: an application that, asked once, loads a library that no template has, and crashes inside it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "minimal.h"

static char library[4096];

/* Beside this one: the module of which the tests know that it has symbols. */
static int load(void* self) {
  Dl_info own;
  (void)self;
  if (dladdr(library, &own) == 0 || strlen(own.dli_fname) + 32 > sizeof library) {
    FAIL("cannot find its own file");
    return 1;
  }
  const size_t folder = (size_t)(strrchr(own.dli_fname, '/') + 1 - own.dli_fname);
  snprintf(library, sizeof library, "%.*scrash_late.so", (int)folder, own.dli_fname);
  return 0;
}

static void handle(void* self, supervisor_request* request) {
  void (*crash)(void) = NULL;
  void* const loaded = dlopen(library, RTLD_NOW | RTLD_LOCAL);
  if (loaded != NULL) *(void**)&crash = dlsym(loaded, "crash_late");
  if (crash != NULL) crash();
  answer_hello(self, request);
}

const supervisor_app* supervisor_application(const supervisor_host* table) {
  host = table;
  minimal.load = load;
  minimal.handle = handle;
  return &minimal;
}
