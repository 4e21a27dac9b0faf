// ControlApi: what the control socket can be asked, and the JSON it answers.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "common/clock.h"
#include "common/json.h"
#include "common/result.h"
#include "master/close_how.h"
#include "master/control_handler.h"
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
  // Returns the number that it becomes (a range in the configuration has the last word), or why it does not.
  virtual common::Result<std::uint32_t> scale(std::uint32_t workers) = 0;
  virtual void stop(StopKind kind) = 0;
  // Answers when the rollout has ended, with reload_reply().
  virtual ControlOutcome reload(ClientToken client) = 0;
  // Everything known of the descriptors of the worker that serves in `slot`, or of all workers. Answers later, with
  // slot_fds_reply() or fds_reply(), or refuses now.
  virtual ControlOutcome inspect(std::optional<SlotIndex> slot, ClientToken client) = 0;
  // Answers later, with close_reply(), or refuses now, with no_worker_reply() or refuse_close().
  virtual ControlOutcome close_fd(SlotIndex slot, int fd, CloseHow how, ClientToken client) = 0;
};

//   GET  /status                  the whole state
//   POST /recycle?slot=N          replace the worker of a slot
//   POST /scale?workers=N         1 to kWorkersMax; {"workers": what it becomes}, 409 if that many cannot listen
//   POST /stop[?how=quick]
//   POST /reload                  configuration and application anew; answers when it is done, or was refused
//   GET  /fds[?slot=N]            the report of the worker that serves there; without a slot {"workers": [...]}
//   POST /close-fd?slot=N&fd=M[&how=close|shutdown]
class ControlApi final : public ControlHandler {
 public:
  ControlApi(ServiceView& view, ServiceOrders& orders) : view_(view), orders_(orders) {}
  ControlOutcome handle(std::string_view method, std::string_view path, const std::map<std::string, std::string>& query,
                        ClientToken client) override;

 private:
  using Query = std::map<std::string, std::string>;
  ControlReply recycle(const Query& query);
  ControlReply scale(const Query& query);
  ControlReply stop(const Query& query);
  ControlOutcome fds(const Query& query, ClientToken client);
  ControlOutcome close_fd(const Query& query, ClientToken client);

  ServiceView& view_;
  ServiceOrders& orders_;
};

}  // namespace master
