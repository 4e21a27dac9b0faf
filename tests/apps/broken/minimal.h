/* The sound parts of a broken application: each of its neighbours replaces one member of this description. */
#pragma once

#include <supervisor/app.h>

static const supervisor_host* host;

static inline void answer_hello(void* self, supervisor_request* request) {
  (void)self;
  const supervisor_str body = SUPERVISOR_STR("hello\n");
  const supervisor_response response = {sizeof response, 200, NULL, 0, body};
  host->respond(request, &response);
}

static inline void fail_with(const char* reason, size_t len) {
  const supervisor_str text = {reason, len};
  host->fail(text);
}
#define FAIL(literal) fail_with("" literal, sizeof(literal) - 1)

static supervisor_app minimal = {
    sizeof(supervisor_app),
    SUPERVISOR_ABI_VERSION,
    SUPERVISOR_APP_HTTP,
    SUPERVISOR_HANDLER_INLINE,
    "minimal",
    NULL,
    NULL,
    NULL,
    NULL,
    answer_hello,
};
