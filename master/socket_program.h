// SocketProgram: the way of a program of master/steering.h into the kernel.
#pragma once

#include <linux/filter.h>

#include <vector>

#include "common/result.h"

namespace master {

// The program is the whole group's, whichever member it is attached to. An empty one = the kernel chooses again; where
// a sandbox knows only how to attach, by a program that makes no choice.
common::Result<void> attach_choice(int member, const std::vector<sock_filter>& program);

// Of one listening socket, or of a connection that inherited it.
common::Result<void> attach_filter(int fd, std::vector<sock_filter> program);
void detach_filter(int fd);

}  // namespace master
