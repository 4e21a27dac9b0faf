// AppHandler: hands each request of a session to the application, counts it, and notes it in the access log.
#pragma once

#include <array>
#include <string_view>

#include "common/address.h"
#include "common/request_box.h"
#include "common/scoreboard.h"
#include "worker/access_log.h"
#include "worker/application.h"
#include "worker/http_session.h"
#include "worker/request_context.h"

namespace worker {

class AppHandler final : public RequestHandler, private Exchange {
 public:
  // References outlive the handler.
  AppHandler(Application& application, common::WorkerGauges& gauges, common::RequestBox& in_hand,
             common::AccessLog access);

  void handle(const common::Request& request, HttpSession& session) override;
  void on_answered(const common::Request& request, HttpSession& session, int status, std::size_t body_bytes) override;
  // Once per turn of the loop.
  void flush_access_log();

 private:
  void respond(int status, std::span<const common::Field> fields, std::string_view body) override;
  std::string_view peer() override;
  int fd() const override;

  Application& application_;
  common::WorkerGauges& gauges_;
  common::RequestBox& in_hand_;
  AccessLog access_log_;
  RequestContext context_;
  HttpSession* session_ = nullptr;  // while a request is being handled
  std::array<char, common::kPeerTextMax> peer_text_{};
};

}  // namespace worker
