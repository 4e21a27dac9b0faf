// Help text: assembled from the option table and the configuration schema, so that neither can drift from it.
#include "master/help_text.h"

#include <string_view>

#include "common/config_print.h"
#include "common/config_schema.h"
#include "common/config_value.h"
#include "common/format.h"
#include "master/option_table.h"

namespace master {
namespace {

constexpr std::string_view kUsage = R"(Runs a native application as a prefork service and keeps it healthy.

Usage:
  supervisor [OPTIONS] APP.so            run the application in the foreground
  supervisor check  [OPTIONS] APP.so     validate the configuration and load the application, then exit
  supervisor config [OPTIONS] [APP.so]   print the effective configuration as TOML, with the origin of each value

  supervisor status  [--json] [--control PATH] [APP.so]         what a running supervisor and its workers do
  supervisor fds     [--slot N] [--all] [--json] [APP.so]       what its workers have open, and where it was opened
  supervisor recycle --slot N [--control PATH] [APP.so]         replace one worker gracefully
  supervisor scale   N        [--control PATH] [APP.so]         change the number of workers
  supervisor close-fd --slot N --fd M [--shutdown] [APP.so]     close a descriptor of the application in a live worker
  supervisor stop             [--control PATH] [APP.so]         stop gracefully
)";

constexpr std::string_view kEnd = R"(
Configuration counts in this order, later over earlier: defaults, the file of --config, the environment variable
SUPERVISOR_ARGS (options as on the command line), the command line.

Control socket: --control, else $RUNTIME_DIRECTORY/control.sock, else $XDG_RUNTIME_DIR/supervisor/<app>.sock,
else /run/supervisor/<app>.sock. curl --unix-socket PATH http://localhost/status works as well.

Signals: TERM graceful stop, INT or QUIT quick stop, HUP reload, USR2 upgrade of the program in place, TTIN and TTOU
one worker more or less.
Exit codes: 0 stopped as asked, 1 could not start, 2 wrong usage, 3 gave up after a crash loop.

Examples:
  supervisor --workers 4 app.so
  supervisor -b :8080 -b unix:/run/shop/http.sock --access-log combined shop.so
  supervisor -c /etc/shop.toml --set timeouts.keep_alive=30s --set app.greeting=hello shop.so
  supervisor status --json shop.so
  supervisor fds --slot 2 shop.so
)";

std::string option_line(std::string_view names, std::string_view value_name, std::string_view description) {
  std::string left(names.starts_with("--") ? "    " : "");
  for (const char c : names) left += c == ',' ? std::string(", ") : std::string(1, c);
  if (!value_name.empty()) left += common::format(" {}", value_name);
  return common::format("  {:<24} {}\n", left, description);
}

// "" for a default that is derived at start and has no text.
std::string default_of(std::string_view key) {
  const auto index = common::find_setting(key);
  if (!index) return "";
  std::string text = common::render(common::settings()[*index], common::Config{});
  return text == "\"\"" ? "" : common::format(" [{}]", text);
}

std::string key_options() {
  std::string text;
  std::string_view heading;
  for (const KeyOption& option : kKeyOptions) {
    if (option.state == OptionState::kLater) continue;
    if (option.heading != heading) text += common::format("\n{}:\n", option.heading);
    heading = option.heading;
    text += option_line(option.names, option.value_name, std::string(option.description) + default_of(option.key));
  }
  return text;
}

}  // namespace

std::string help_text() {
  std::string text(kUsage);
  text += "\nConfiguration:\n";
  text += option_line("-c,--config", "FILE", "TOML file [none]");
  text += option_line("--set", "KEY=VALUE", "any configuration key, for example timeouts.header=10s; repeatable");
  text += key_options();
  text += "\nOther:\n";
  text += option_line("--json", "", "print the answer of a running supervisor as it came");
  text += option_line("--slot", "N", "the worker in this position; fds without it: all workers");
  text += option_line("--all", "", "fds: every single descriptor, too");
  text += option_line("--fd", "M", "close-fd: the descriptor's number in the worker");
  text += option_line("--shutdown", "", "close-fd: shut the socket down in both directions; its number stays taken");
  text += option_line("--version", "", "print the version");
  text += option_line("-h,--help", "", "print this text");
  text += option_line("--help-all", "", "and every configuration key with its default and range");
  text += kEnd;
  return text;
}

std::string help_all_text() {
  return help_text() + "\nConfiguration keys, their defaults and what they accept:\n" + common::print_schema() +
         "  app.*\n      passed to the application verbatim\n";
}

std::string version_text() { return "supervisor " SUPERVISOR_VERSION "\n"; }

}  // namespace master
