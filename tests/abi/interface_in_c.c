/* app.h as a C11 application sees it. */
#include "layout.h"

size_t size_of_app_in_c(void);

size_t size_of_app_in_c(void) {
  const supervisor_app older = {.size = offsetof(supervisor_app, handle)};
  const supervisor_str text = SUPERVISOR_STR("text");
  if (SUPERVISOR_HAS(supervisor_app, &older, handle)) return 0;
  if (!SUPERVISOR_HAS(supervisor_app, &older, worker_stop)) return 0;
  return text.len == 4 ? sizeof older : 0;
}
