// ControlApi: what the control socket can be asked, and the JSON it answers.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "common/clock.h"
#include "common/json.h"
#include "master/control_server.h"
#include "master/supervision_event.h"
#include "master/worker_id.h"

namespace master {

using common::Json;

class ServiceView {
 public:
  virtual ~ServiceView() = default;
  virtual Json status(common::TimePoint now) const = 0;
};

class ServiceOrders {
 public:
  virtual ~ServiceOrders() = default;
  // False if no worker serves in that slot.
  virtual bool recycle(SlotIndex slot) = 0;
  virtual void scale(std::uint32_t workers) = 0;
  virtual void stop(StopKind kind) = 0;
};

//   GET  /status                  the whole state
//   POST /recycle?slot=N          replace the worker of a slot
//   POST /scale?workers=N         1 to kWorkersMax
//   POST /stop[?how=quick]
class ControlApi final : public ControlHandler {
 public:
  ControlApi(ServiceView& view, ServiceOrders& orders) : view_(view), orders_(orders) {}
  ControlReply handle(std::string_view method, std::string_view path,
                      const std::map<std::string, std::string>& query) override;

 private:
  ControlReply recycle(const std::map<std::string, std::string>& query);
  ControlReply scale(const std::map<std::string, std::string>& query);
  ControlReply stop(const std::map<std::string, std::string>& query);

  ServiceView& view_;
  ServiceOrders& orders_;
};

}  // namespace master
