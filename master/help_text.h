// Help text: what --help, --help-all and --version print. Pure.
#pragma once

#include <string>

namespace master {

std::string help_text();
std::string help_all_text();  // with every configuration key
std::string version_text();

}  // namespace master
