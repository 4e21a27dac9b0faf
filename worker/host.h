// Host: the table of functions an application may call, and the settings and failure reason behind it.
//
// The functions of the interface that take no argument to find their context by (fail, setting, settings_toml) find
// the Host through the one global pointer of host.cc; everything about a request is found through the request. One
// Host at a time per process; a forked worker goes on with its copy. One thread.
#pragma once

#include <supervisor/app.h>

#include <string>
#include <string_view>
#include <vector>

#include "common/config.h"

namespace worker {

class Host {
 public:
  // Copies what it needs of the [app] table. `config.app` may come in any order.
  explicit Host(const common::Config& config);
  ~Host();
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  const supervisor_host& table() const;

  // What the application said by fail() since the last call; empty if nothing.
  std::string take_failure();

 private:
  static void fail(supervisor_str reason) noexcept;
  static int setting(supervisor_str key, supervisor_str* value) noexcept;
  static supervisor_str settings_toml() noexcept;

  std::vector<common::AppSetting> settings_;  // sorted by key
  std::string toml_;
  std::string failure_;
};

}  // namespace worker
