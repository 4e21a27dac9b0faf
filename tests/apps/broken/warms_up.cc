// warms_up: an application that is ready when the file named by [app] warm is there; its text may be "throw".
#include <fstream>
#include <stdexcept>
#include <string>
#include <supervisor/app.hpp>

struct WarmsUp : supervisor::HttpApp {
  void load(const supervisor::Config& config) override { warm_ = config.get("warm", ""); }
  bool worker_ready() override {
    std::ifstream file(warm_);
    std::string text;
    if (file >> text && text == "throw") throw std::runtime_error("the cache is broken");
    return file.is_open();
  }
  supervisor::Response handle(const supervisor::Request&) override { return {200, "warm\n"}; }

 private:
  std::string warm_;
};
SUPERVISOR_APP(WarmsUp)
