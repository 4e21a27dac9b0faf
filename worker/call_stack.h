// CallStack: the return addresses of the calling thread, as its unwind tables tell them; the door to unwind.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace worker {

// Fills `frames` with the addresses from `first` outwards and returns how many. `first` is a return address of a
// function that is being called, or, in a signal handler, the instruction that was interrupted; what lies further in is
// left out. At least `first` itself is reported, also where the tables do not lead there. About 3 us.
//
// Allocates nothing and takes no lock once it has been called in this process, unless code was registered at run time
// (by a just-in-time compiler): so async-signal-safe as far as that goes.
std::size_t unwind_from(const void* first, std::span<std::uint64_t> frames);

// From now on a walk that comes to the end of a stack made by hand, where no code is, just ends there. Takes SIGSEGV
// and SIGBUS; every fault that is no walk's goes to whoever had them before, as if nothing had been taken. Without
// this, or once the application takes them itself, such a stack ends the process. Not thread-safe.
void survive_broken_stacks();

}  // namespace worker
