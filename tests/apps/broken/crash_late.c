/* crash_late: no application, but the library of loads_late: a function that crashes. */
#include <supervisor/app.h>

static volatile int* volatile nowhere;

/* It is to be a fault, and not what UBSan makes of one. */
__attribute__((no_sanitize_undefined)) SUPERVISOR_EXPORT void crash_late(void);
SUPERVISOR_EXPORT void crash_late(void) {
  *nowhere = 1;
  *nowhere = 2;
}
