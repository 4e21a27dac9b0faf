/* bad_answers: an application that breaks one rule of supervisor_response per path, and gives no answer to others. */
#include <string.h>

#include "minimal.h"

static int is_path(const supervisor_request* request, const char* path) {
  const supervisor_str target = host->request_info(request)->target;
  return target.len == strlen(path) && memcmp(target.data, path, target.len) == 0;
}

static void handle(void* self, supervisor_request* request) {
  const supervisor_field split = {SUPERVISOR_STR("X-Name"), SUPERVISOR_STR("a\r\nb")};
  const supervisor_field length = {SUPERVISOR_STR("content-length"), SUPERVISOR_STR("5")};
  supervisor_response response = {sizeof response, 200, NULL, 0, SUPERVISOR_STR("hello\n")};
  if (is_path(request, "/status")) response.status = 199;
  if (is_path(request, "/split")) response.headers = &split, response.headers_len = 1;
  if (is_path(request, "/length")) response.headers = &length, response.headers_len = 1;
  if (is_path(request, "/null-body")) response.body.data = NULL;
  if (is_path(request, "/null-headers")) response.headers_len = 1;
  if (is_path(request, "/size")) response.size = 8;
  if (is_path(request, "/silent")) return;
  if (host->respond(request, &response) == 0 && is_path(request, "/twice")) answer_hello(self, request);
}

const supervisor_app* supervisor_application(const supervisor_host* table) {
  host = table;
  minimal.handle = handle;
  return &minimal;
}
