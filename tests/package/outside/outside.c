/* outside_c: an application in C whose project knows only the installed package. */
#include <supervisor/app.h>

static const supervisor_host* host;

static void handle(void* self, supervisor_request* request) {
  (void)self;
  const supervisor_response response = {
      .size = sizeof response, .status = 200, .body = SUPERVISOR_STR("from outside\n")};
  host->respond(request, &response);
}

static const supervisor_app app = {
    .size = sizeof app,
    .abi_version = SUPERVISOR_ABI_VERSION,
    .kind = SUPERVISOR_APP_HTTP,
    .handler = SUPERVISOR_HANDLER_INLINE,
    .name = "outside_c",
    .handle = handle,
};

const supervisor_app* supervisor_application(const supervisor_host* table) {
  host = table;
  return &app;
}
