/* uses_select: an application that waits with select(2), whose sets end at descriptor 1023; says its number. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/select.h>
#include <unistd.h>

#include "minimal.h"

static void handle(void* self, supervisor_request* request) {
  char text[32];
  struct timeval none = {0, 0};
  fd_set readable;
  const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  (void)self;
  FD_ZERO(&readable);
  if (fd >= 0 && fd < FD_SETSIZE) {
    FD_SET(fd, &readable);
    select(fd + 1, &readable, NULL, NULL, &none);
  }
  snprintf(text, sizeof text, "%d\n", fd);
  close(fd);
  const supervisor_response response = {sizeof response, 200, NULL, 0, {text, strlen(text)}};
  host->respond(request, &response);
}

const supervisor_app* supervisor_application(const supervisor_host* table) {
  host = table;
  minimal.handle = handle;
  return &minimal;
}
