// thread_after_load: an application that leaves a thread behind.
#include <pthread.h>

#include <supervisor/app.hpp>
#include <thread>

#include <unistd.h>

struct ThreadAfterLoad : supervisor::HttpApp {
  void load(const supervisor::Config&) override {
    std::thread thread([] {
      for (;;) pause();
    });
    pthread_setname_np(thread.native_handle(), "left-behind");
    thread.detach();
  }
  supervisor::Response handle(const supervisor::Request&) override { return {200, "hello\n"}; }
};
SUPERVISOR_APP(ThreadAfterLoad)
