// ListenerView: its words.
#include "master/listener_view.h"

namespace master {

std::string_view name_of(ListenerSteering steering) {
  switch (steering) {
    case ListenerSteering::kNone: return "none";
    case ListenerSteering::kHash: return "hash";
    case ListenerSteering::kHealth: return "health";
  }
  return "";
}

std::string_view name_of(ListenerStage stage) {
  switch (stage) {
    case ListenerStage::kCurrent: return "current";
    case ListenerStage::kAdded: return "added";
    case ListenerStage::kRetiring: return "retiring";
  }
  return "";
}

}  // namespace master
