/* abi_newer: an application of a later interface version. */
#include "minimal.h"

const supervisor_app* supervisor_application(const supervisor_host* table) {
  host = table;
  minimal.abi_version = SUPERVISOR_ABI_VERSION + 1;
  return &minimal;
}
