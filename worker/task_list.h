// TaskList: the threads of this process, as /proc/self/task shows them.
#pragma once

#include <string>
#include <vector>

namespace worker {

struct Task {
  int tid = 0;
  std::string name;  // the thread's comm: at most 15 bytes, "app.so" when nobody named it
};

// Empty if /proc cannot be read.
std::vector<Task> list_tasks();

// Tasks that are not in `before` and do not go away: a thread that was joined may stand in /proc for a moment longer,
// so this waits for it, at most 200 ms. Empty at once, in one look, when nothing is left.
std::vector<Task> tasks_left_behind(const std::vector<Task>& before);

}  // namespace worker
