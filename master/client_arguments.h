// Client arguments: the options of `supervisor fds`, `recycle` and their kin, and the numbers they stand for. Pure.
#pragma once

#include <string>
#include <vector>

#include "master/verbs.h"

namespace master {

// As the parser found them; of an option that is repeated the last value counts.
struct ClientArguments {
  std::vector<std::string> slots;        // --slot
  std::vector<std::string> fds;          // --fd
  std::vector<std::string> workers;      // --workers
  std::vector<std::string> positionals;  // scale takes its number from them
  bool json = false;
  bool all = false;
  bool shutdown = false;
};

// The request, all but where to send it. Takes what it understands out of `positionals`, and adds what is wrong or
// missing to `mistakes`.
ClientRequest read_client_request(ClientVerb verb, ClientArguments& arguments, std::vector<std::string>& mistakes);

}  // namespace master
