// StoredName: under which name the service manager keeps a listening socket of ours, for a later start to read.
//
//   listen,SLOT,ADDRESS,ASKED,FILE      ("listen,3,127.0.0.1=8000,," or "listen,0,unix=/run/a.sock,,2049.77.17000.5")
// Both texts are written so that sd_notify(3) allows them as FDNAME: printable ASCII, no colon, at most 255 characters.
// Order and number say nothing about a stored descriptor, hence the slot; the address makes the name unique. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/address.h"
#include "common/owned_path.h"
#include "master/worker_id.h"

namespace master {

struct StoredName {
  SlotIndex slot = 0;
  std::string address;  // encode_text() of the address as bound
  std::string asked;  // and as the settings had it
  std::optional<common::OwnedPath> file{};  // of a unix socket, so that a file which took its place is told apart
};

std::string encode_text(std::string_view text);

std::string format_stored_name(SlotIndex slot, const common::Address& bound, std::string_view asked,
                               const std::optional<common::OwnedPath>& file);

// None: not one of ours. The path of `file` is left empty: the socket knows it.
std::optional<StoredName> parse_stored_name(std::string_view name);

}  // namespace master
