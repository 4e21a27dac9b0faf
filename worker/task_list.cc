// TaskList: reading /proc/self/task.
#include "worker/task_list.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

namespace worker {

std::vector<Task> list_tasks() {
  std::vector<Task> tasks;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task", error)) {
    const std::string number = entry.path().filename();
    Task task;
    std::from_chars(number.data(), number.data() + number.size(), task.tid);
    std::ifstream comm(entry.path() / "comm");
    std::getline(comm, task.name);
    tasks.push_back(std::move(task));
  }
  return tasks;
}

std::vector<Task> tasks_left_behind(const std::vector<Task>& before) {
  // pthread_join returns when the kernel clears the thread's tid word, which it does before it takes the task off the
  // process's list. Measured: gone within a millisecond; 200 is for a machine that is busy.
  constexpr int kLooksMax = 200;
  std::vector<Task> left;
  for (int look = 0; look < kLooksMax; ++look) {
    left = list_tasks();
    std::erase_if(left,
                  [&](const Task& task) { return std::ranges::find(before, task.tid, &Task::tid) != before.end(); });
    if (left.empty()) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return left;
}

}  // namespace worker
