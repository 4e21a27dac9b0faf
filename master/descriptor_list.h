// DescriptorList: every open descriptor of a process, read from /proc/PID/fd and joined with its ledger.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string_view>
#include <vector>

#include "common/fd_ledger.h"
#include "common/result.h"
#include "master/open_descriptor.h"

namespace master {

inline constexpr std::size_t kWatchesMax = 1024;  // of one epoll that are kept; all of them are counted

// What a link in /proc/PID/fd says by itself: kind, inode and path. What is a path is kFile until the file is asked,
// what is a socket kOtherSocket. Pure.
OpenDescriptor classify_link(int fd, std::string_view link);

// One "tfd:" line of an epoll's fdinfo for each entry; other lines are ignored. Pure.
std::vector<WatchedDescriptor> parse_watches(std::string_view fdinfo);

// Every descriptor, ascending, without what SocketTable (master/socket_table.h) and the ledger know. One that closes
// meanwhile is left out.
// Errors: ENOENT or ESRCH when the process has ended, EACCES when it may not be looked at.
// CPU time: 8 us per socket, pipe or file, 20 us per eventfd, epoll or inotify, whose fdinfo is read.
common::Result<std::vector<OpenDescriptor>> read_descriptors(pid_t pid);

// The whole interest list of one epoll; empty if there is none.
std::vector<WatchedDescriptor> read_watches(pid_t pid, int epoll_fd);

// Owner, age and stack. What nobody noted is the application's; the standard streams were there from the start.
void join_ledger(const common::FdLedger& ledger, std::vector<OpenDescriptor>& list);

}  // namespace master
