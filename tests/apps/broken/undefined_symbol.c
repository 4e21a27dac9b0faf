/* undefined_symbol: an application that nobody linked with the library it calls. */
#include "minimal.h"

int function_of_a_library_that_was_forgotten(void);

const supervisor_app* supervisor_application(const supervisor_host* table) {
  host = table;
  minimal.self = function_of_a_library_that_was_forgotten() == 0 ? NULL : &minimal;
  return &minimal;
}
