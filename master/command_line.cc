// Command line: verbs, options and the messages about wrong ones.
#include "master/command_line.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>
#include <vector>

#include "common/format.h"
#include "common/nearest.h"
#include "master/client_arguments.h"
#include "master/help_text.h"
#include "master/option_table.h"
#include "master/split_arguments.h"

namespace master {
namespace {

using Words = std::vector<std::string>;
using Verb = std::variant<ServerVerb, ClientVerb>;

struct VerbName {
  std::string_view name;
  std::optional<Verb> verb;  // none = to come in a later version
};

constexpr std::array<VerbName, 11> kVerbs = {{{"run", ServerVerb::kRun},
                                              {"check", ServerVerb::kCheck},
                                              {"config", ServerVerb::kConfig},
                                              {"status", ClientVerb::kStatus},
                                              {"fds", ClientVerb::kFds},
                                              {"stop", ClientVerb::kStop},
                                              {"recycle", ClientVerb::kRecycle},
                                              {"scale", ClientVerb::kScale},
                                              {"close-fd", ClientVerb::kCloseFd},
                                              {"reload", ClientVerb::kReload},
                                              {"top", std::nullopt}}};

const VerbName* find_verb(std::string_view word) {
  const auto found = std::find_if(kVerbs.begin(), kVerbs.end(), [&](const VerbName& v) { return v.name == word; });
  return found == kVerbs.end() ? nullptr : &*found;
}

// What CLI11 understood, before any of it has a meaning.
struct Parsed {
  std::array<Words, kKeyOptions.size()> keys;  // the values of kKeyOptions[i]
  Words files;
  Words sets;
  ClientArguments client;
  Words positionals;
  Words mistakes;
  bool help = false;
  bool help_all = false;
  bool version = false;
};

enum class Audience { kServer, kClient };

bool is_shared(const KeyOption& option, const Verb* verb) {
  if (option.key == kControlKey) return true;
  const auto* client = verb == nullptr ? nullptr : std::get_if<ClientVerb>(verb);
  return client != nullptr && *client == ClientVerb::kScale && option.key == "workers.count";
}

Words unknown_options(const Words& extras, const CLI::App& app) {
  std::vector<std::string> known;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
  }
  const std::vector<std::string_view> names(known.begin(), known.end());
  Words mistakes;
  for (const std::string& extra : extras) {
    const std::string word = extra.substr(0, extra.find('='));
    const std::string_view suggestion = word.starts_with("--") ? common::nearest(word, names) : "";
    mistakes.push_back(suggestion.empty() ? common::format("unknown option {}", word)
                                          : common::format("unknown option {}; did you mean {}?", word, suggestion));
  }
  return mistakes;
}

// Every repeated option is collected and the last one counts; allow_extra_args(false) keeps `-b ADDR app.so` from
// taking app.so as a second address.
void collect(CLI::App& app, std::string_view names, Words& values) {
  app.add_option(std::string(names), values)->allow_extra_args(false);
}

void add_client_options(CLI::App& app, ClientVerb verb, ClientArguments& arguments) {
  app.add_flag("--json", arguments.json);
  switch (verb) {
    case ClientVerb::kStatus:
    case ClientVerb::kStop:
    case ClientVerb::kReload:
    case ClientVerb::kScale: return;
    case ClientVerb::kFds: app.add_flag("--all", arguments.all); break;
    case ClientVerb::kRecycle: break;
    case ClientVerb::kCloseFd:
      collect(app, "--fd", arguments.fds);
      app.add_flag("--shutdown", arguments.shutdown);
      break;
  }
  collect(app, "--slot", arguments.slots);
}

// `verb` is null for SUPERVISOR_ARGS, which holds options of the server whoever reads it.
Parsed parse_words(const Words& words, const Verb* verb) {
  Parsed parsed;
  CLI::App app;
  app.set_help_flag();
  app.allow_extras();
  app.add_flag("-h,--help", parsed.help);
  app.add_flag("--help-all", parsed.help_all);
  app.add_flag("--version", parsed.version);
  app.add_option("positionals", parsed.positionals);
  const auto audience =
      verb != nullptr && std::holds_alternative<ClientVerb>(*verb) ? Audience::kClient : Audience::kServer;
  for (std::size_t i = 0; i < kKeyOptions.size(); ++i) {
    if (audience == Audience::kServer || is_shared(kKeyOptions[i], verb)) {
      collect(app, kKeyOptions[i].names, parsed.keys[i]);
    }
  }
  if (audience == Audience::kServer) {
    collect(app, "-c,--config", parsed.files);
    collect(app, "--set", parsed.sets);
  } else {
    add_client_options(app, std::get<ClientVerb>(*verb), parsed.client);
  }
  try {
    app.parse(Words(words.rbegin(), words.rend()));  // CLI11 takes them from the back
    parsed.mistakes = unknown_options(app.remaining(), app);
  } catch (const CLI::ArgumentMismatch& error) {
    const std::string text = error.what();
    parsed.mistakes.push_back(text.substr(0, text.find(':')) + ": needs a value");
  } catch (const CLI::Error& error) {
    parsed.mistakes.emplace_back(error.what());
  }
  return parsed;
}

// The configuration that the options of one source ask for.
std::vector<common::Override> overrides_of(const Parsed& parsed, Words& mistakes) {
  std::vector<common::Override> overrides;
  overrides.reserve(kKeyOptions.size() + parsed.sets.size());
  for (std::size_t i = 0; i < kKeyOptions.size(); ++i) {
    const KeyOption& option = kKeyOptions[i];
    Words values = parsed.keys[i];
    if (values.empty()) continue;
    if (option.key != kBindKey) values = {values.back()};
    std::string written = common::format("{} {}", option.long_name, values.front());
    if (values.size() > 1) written = option.long_name;
    overrides.push_back({std::move(written), std::string(option.key), std::move(values), option.syntax});
  }
  for (const std::string& set : parsed.sets) {
    const std::size_t equals = set.find('=');
    if (equals == std::string::npos || equals == 0) {
      mistakes.push_back(common::format("--set {}: write KEY=VALUE, for example --set timeouts.header=10s", set));
      continue;
    }
    overrides.push_back({"--set " + set, set.substr(0, equals), {set.substr(equals + 1)}, common::Syntax::kToml});
  }
  return overrides;
}

Farewell wrong_usage(const Words& mistakes) {
  Farewell farewell{kExitUsage, "", OutputStream::kError};
  for (const std::string& mistake : mistakes) farewell.text += common::format("supervisor: {}\n", mistake);
  farewell.text += "Try 'supervisor --help'.\n";
  return farewell;
}

// Options only: which application and which verb is for whoever starts the program.
Parsed parse_environment(const std::string& text, Words& mistakes) {
  const auto words = split_arguments(text);
  if (!words) {
    mistakes.push_back("SUPERVISOR_ARGS: " + words.error().message);
    return {};
  }
  Parsed parsed = parse_words(*words, nullptr);
  if (parsed.help || parsed.help_all || parsed.version) {
    parsed.mistakes.emplace_back("--help and --version have no meaning here");
  }
  if (!parsed.positionals.empty() && parsed.mistakes.empty()) {
    parsed.mistakes.push_back(common::format("\"{}\" is not an option; name the application on the command line",
                                             parsed.positionals.front()));
  }
  for (const std::string& mistake : parsed.mistakes) mistakes.push_back("SUPERVISOR_ARGS: " + mistake);
  return parsed;
}

// A mistyped verb looks like an application in the current directory.
std::string mistyped_verb(const std::string& app_path) {
  if (app_path.find_first_of("/.") != std::string::npos) return "";
  std::vector<std::string_view> names;
  names.reserve(kVerbs.size());
  for (const VerbName& verb : kVerbs) names.push_back(verb.name);
  const std::string_view suggestion = common::nearest(app_path, names);
  if (suggestion.empty()) return "";
  if (suggestion == app_path)
    return common::format("{}: the verb comes first: supervisor {} [OPTIONS]", app_path, app_path);
  return common::format("\"{0}\" is no verb; did you mean {1}? (An application of that name: ./{0})", app_path,
                        suggestion);
}

bool sets_app_path(const common::Sources& sources) {
  const auto is_it = [](const common::Override& item) { return item.key == "application.path"; };
  return std::ranges::any_of(sources.environment, is_it) || std::ranges::any_of(sources.command_line, is_it);
}

Command server_command(ServerVerb verb, const Parsed& parsed, const Parsed& environment, Words mistakes) {
  ServerCommand command{verb, {}};
  common::Sources& sources = command.sources;
  Words environment_mistakes;
  sources.environment = overrides_of(environment, environment_mistakes);
  for (const std::string& mistake : environment_mistakes) mistakes.push_back("SUPERVISOR_ARGS: " + mistake);
  sources.command_line = overrides_of(parsed, mistakes);
  const Words& files = parsed.files.empty() ? environment.files : parsed.files;
  if (!files.empty()) sources.file = files.back();
  if (!files.empty() && files.back().empty()) mistakes.emplace_back("--config: needs the name of a file");
  if (parsed.positionals.size() > 1) {
    const std::string verb_hint = find_verb(parsed.positionals[0]) ? mistyped_verb(parsed.positionals[0]) : "";
    mistakes.push_back(!verb_hint.empty() ? verb_hint
                                          : common::format("unexpected argument \"{}\"; one application can be given",
                                                           parsed.positionals[1]));
  } else if (!parsed.positionals.empty()) {
    sources.app_path = parsed.positionals.front();
    if (const std::string hint = mistyped_verb(sources.app_path); !hint.empty()) mistakes.push_back(hint);
  }
  if (verb != ServerVerb::kConfig) {
    sources.app = common::Sources::App::kNeeded;
    // Whatever can set application.path gets the chance to; else this is a word that is missing here.
    if (parsed.positionals.empty() && files.empty() && !sets_app_path(sources)) {
      mistakes.emplace_back("no application; name it: supervisor [OPTIONS] APP.so, or application.path in --config");
    }
  }
  if (!mistakes.empty()) return wrong_usage(mistakes);
  return command;
}

const Words& values_of(std::string_view key, const Parsed& parsed) {
  const auto found =
      std::find_if(kKeyOptions.begin(), kKeyOptions.end(), [&](const KeyOption& o) { return o.key == key; });
  return parsed.keys[static_cast<std::size_t>(found - kKeyOptions.begin())];
}

Command client_command(ClientVerb verb, const Parsed& parsed, const Parsed& from_environment,
                       const Environment& environment, Words mistakes) {
  ClientArguments arguments = parsed.client;
  arguments.positionals = parsed.positionals;
  arguments.workers = values_of("workers.count", parsed);
  ClientRequest request = read_client_request(verb, arguments, mistakes);
  const Words& positionals = arguments.positionals;
  if (positionals.size() > 1) {
    mistakes.push_back(common::format("unexpected argument \"{}\"", positionals[1]));
  }
  const Words& own = values_of(kControlKey, parsed);
  const Words& controls = own.empty() ? values_of(kControlKey, from_environment) : own;
  if (!controls.empty()) {
    request.control_path = controls.back();
    if (request.control_path.empty()) mistakes.emplace_back("--control: needs a path");
  } else if (!positionals.empty() || !environment.runtime_directory.empty()) {
    const std::string app = positionals.empty() ? "" : positionals.front();
    request.control_path = default_control_path(app, environment);
    request.unit_control_path = unit_control_path(app, environment);
  } else {
    request.control_directories = control_directories(environment);
  }
  if (!mistakes.empty()) return wrong_usage(mistakes);
  return request;
}

}  // namespace

Command parse_command_line(int argc, const char* const* argv, const Environment& environment) {
  Words words(argv + std::min(argc, 1), argv + argc);
  Verb verb = ServerVerb::kRun;
  if (const VerbName* named = words.empty() ? nullptr : find_verb(words.front())) {
    if (!named->verb) return wrong_usage({common::format("{}: not available in this version", named->name)});
    verb = *named->verb;
    words.erase(words.begin());
  }
  const Parsed parsed = parse_words(words, &verb);
  if (parsed.help_all) return Farewell{0, help_all_text()};
  if (parsed.help) return Farewell{0, help_text()};
  if (parsed.version) return Farewell{0, version_text()};
  if (!parsed.mistakes.empty()) return wrong_usage(parsed.mistakes);  // what follows them may be misread
  Words mistakes;
  const Parsed from_environment = parse_environment(environment.supervisor_args, mistakes);
  if (const auto* server = std::get_if<ServerVerb>(&verb)) {
    return server_command(*server, parsed, from_environment, std::move(mistakes));
  }
  return client_command(std::get<ClientVerb>(verb), parsed, from_environment, environment, std::move(mistakes));
}

}  // namespace master
