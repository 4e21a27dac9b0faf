// AdmissionLog: counting and the line.
#include "worker/admission_log.h"

#include "common/log.h"

namespace worker {

void AdmissionLog::add(Event event, std::string_view why) {
  switch (event) {
    case Event::kShort: break;
    case Event::kEvicted: ++evicted_; break;
    case Event::kRefused: ++refused_; break;
    case Event::kPaused: ++pauses_; break;
  }
  if (why_.empty()) why_ = why;
}

void AdmissionLog::flush(std::uint32_t connections, std::uint32_t places, common::TimePoint now) {
  if (why_.empty() || now < next_at_) return;
  common::log(common::LogLevel::kWarn, common::LogEvent::kConnectionsFull,
              "no room for new connections: " + std::string(why_),
              {{"connections", connections},
               {"connections_max", places},
               {"evicted", evicted_},
               {"refused", refused_},
               {"pauses", pauses_}});
  why_ = {};
  evicted_ = refused_ = pauses_ = 0;
  next_at_ = now + kInterval;
}

std::optional<common::TimePoint> AdmissionLog::next_deadline() const {
  if (why_.empty()) return std::nullopt;
  return next_at_;
}

}  // namespace worker
