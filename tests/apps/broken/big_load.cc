// big_load: not broken: it touches 200 MB in load, which all workers then share.
#include <supervisor/app.hpp>

#include <cstddef>
#include <string>
#include <vector>

struct BigLoad : supervisor::HttpApp {
  void load(const supervisor::Config& config) override {
    const std::size_t mebibytes = config.get<std::size_t>("mb", 200);
    memory.resize(mebibytes * 1024 * 1024, 'x');
  }
  supervisor::Response handle(const supervisor::Request&) override {
    return {200, std::to_string(memory.size() / (1024 * 1024)) + " MiB loaded\n"};
  }

  std::vector<char> memory;
};
SUPERVISOR_APP(BigLoad)
