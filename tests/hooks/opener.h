// Opener: one function of libc that returns descriptors, called from a function of its own in a library.
//
// The library is built in several ways from the same source, opened with dlopen(3) as an application is, and answers
// with its table through hook_library().
#pragma once

#include <cstddef>

struct Opened {
  int fds[2];    // -1 = none
  void* handle;  // what the closing call needs beside the number
};

struct Opener {
  const char* function;           // of libc
  const char* place;              // the function of the library that calls it
  int (*open)(Opened* opened);    // 0, or errno
  const char* closing;            // of libc
  void (*close)(Opened* opened);  // ends all that open() opened
};

enum class Line { kFirst, kSecond };

struct HookLibrary {
  const Opener* openers;
  std::size_t count;
  int (*open_deep)(int depth);         // open(2) after so many calls of itself
  void (*open_close_deep)(int depth);  // opens and closes there
  int (*open_on_line)(Line line);      // two lines of one function, both through the same line of libstdc++
  void (*churn)(int times);            // opens and closes in turn; one in a thousand stays open
  int (*open_and_close)(int closed);   // opens a descriptor, closes it and the one given; 0
  void (*close_in_vfork)(
      int closed);  // in a vfork(2) child: close(2), dup2(2) over it and close_range(2) of everything
  int (*open_on_other_stack)();        // open(2) on a stack that is not the thread's
  void (*keep_marked)(int fd);         // close_range(2) that only marks
  void (*replace)(int fd);             // dup2(2) over it
  int (*fail)();                       // open(2) of nothing; its errno
  void (*wait)(int epoll_fd, int times);
};

using HookLibraryOf = const HookLibrary* (*)();
