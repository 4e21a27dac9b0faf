// thread_joined_in_load: not broken: it uses threads in load and is done with them when load returns.
#include <supervisor/app.hpp>
#include <thread>

struct ThreadJoinedInLoad : supervisor::HttpApp {
  void load(const supervisor::Config&) override {
    for (int i = 0; i < 100; ++i) std::thread([] {}).join();
  }
  supervisor::Response handle(const supervisor::Request&) override { return {200, "hello\n"}; }
};
SUPERVISOR_APP(ThreadJoinedInLoad)
