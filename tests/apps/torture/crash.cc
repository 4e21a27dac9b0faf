// The ways a handler can end its worker.
#include "crash.h"

#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "parameters.h"

namespace torture {
namespace {

void write_to_unmapped_page() {
  volatile std::uintptr_t address = 64;  // volatile: or the compiler would see it and do anything
  *reinterpret_cast<volatile int*>(address) = 1;
}

}  // namespace

void crash(std::string_view how) {
  if (how == "segv") write_to_unmapped_page();
  if (how == "abort") std::abort();
  if (how == "kill") {
    kill(getpid(), SIGKILL);
    for (;;) pause();
  }
  if (how == "exit") std::exit(0);
  if (how == "throw") throw std::runtime_error("thrown by /crash?how=throw");
  throw BadParameter("how=" + std::string(how) + ": must be segv, abort, kill, exit or throw");
}

}  // namespace torture
