/* no_symbol: a shared object, and no application. */
#include <supervisor/app.h>

SUPERVISOR_EXPORT int answer(void);

int answer(void) { return 42; }
