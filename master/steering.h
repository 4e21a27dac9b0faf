// Steering: the program by which the kernel gives new connections only to the slots that can take them.
//
// It is classic BPF for SO_ATTACH_REUSEPORT_CBPF, which needs no privilege: what it returns is an index into the group
// of listening sockets, and ours are slot numbers (see listeners.h). Pure: nothing is attached here.
#pragma once

#include <linux/filter.h>

#include <cstddef>
#include <vector>

namespace master {

// Most instructions of a program for `slots` slots. For kWorkersMax slots that is 770: the kernel takes 4,096, if their
// translation (8 bytes each) is within net.core.optmem_max (20,480 bytes on older kernels, now 131,072).
constexpr std::size_t steering_instructions_max(std::size_t slots) { return 2 + 3 * ((slots + 1) / 2); }

// able[slot] = the slot may get new connections. Empty when there is nothing to choose, because all may or none: then
// the kernel's own hash decides.
//
// Each able slot gets an equal share at random. Nothing is lost against the kernel's hash of the two addresses: that
// keeps no client with its slot either (the client's port differs each time), and the later packets of a handshake find
// their socket without the program; under SYN cookies they do not, but there any member of the group may complete it.
// And a client whose SYN met a full queue is not sent to the same queue again and again.
std::vector<sock_filter> steering_program(const std::vector<bool>& able);

// Another kind of program, for SO_ATTACH_FILTER on one listening socket: it drops what opens a connection and lets all
// else pass, so that a handshake that has begun still ends. A client whose SYN was dropped sends it again after a
// second (TCP_TIMEOUT_INIT) and gets whoever listens then. What is accepted inherits it, where it is of no use.
std::vector<sock_filter> no_new_connections_program();

// The program that makes no choice: an index out of range, for which the kernel falls back to its hash.
std::vector<sock_filter> no_choice_program();

}  // namespace master
