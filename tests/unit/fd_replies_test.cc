// FdReplies: what is answered about descriptors, and with which status.
#include "master/fd_replies.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

namespace {

using common::FdNote;
using common::FdOwner;
using common::FdRole;
using common::Json;
using common::Result;
using master::close_reply;
using master::CloseHow;
using master::ControlReply;
using master::fds_reply;
using master::refuse_close;
using master::slot_fds_reply;
using testing::HasSubstr;

std::string error_of(const ControlReply& reply) { return Json::parse(reply.body)["error"].get<std::string>(); }

TEST(FdReplies, TellASlotThatIsEmptyFromOneThatIsNotThere) {
  EXPECT_EQ(master::no_worker_reply(3, 4).status, 409);
  EXPECT_EQ(error_of(master::no_worker_reply(3, 4)), "slot 3: no worker serves there now");
  EXPECT_EQ(master::no_worker_reply(4, 4).status, 404);
  EXPECT_EQ(error_of(master::no_worker_reply(4, 4)), "slot 4: there is none; slots are 0 to 3");
}

TEST(FdReplies, GiveTheReportOfOneWorkerOrAll) {
  const Json reports = Json::array({{{"slot", 1}, {"pid", 7}}});
  EXPECT_EQ(fds_reply(reports).body, "{\"workers\":[{\"slot\":1,\"pid\":7}]}\n");
  EXPECT_EQ(slot_fds_reply(1, reports).body, "{\"slot\":1,\"pid\":7}\n");
  EXPECT_EQ(slot_fds_reply(1, reports).status, 200);
  EXPECT_EQ(fds_reply(Json::array()).body, "{\"workers\":[]}\n");
}

TEST(FdReplies, SayWhyThereIsNoReport) {
  const Result<Json> failed = common::fail("killed");
  EXPECT_EQ(fds_reply(failed).status, 503);
  EXPECT_EQ(error_of(slot_fds_reply(1, failed)), "killed");
  const ControlReply gone = slot_fds_reply(1, Json::array({{{"slot", 1}, {"error", "the process has ended"}}}));
  EXPECT_EQ(gone.status, 409);
  EXPECT_EQ(error_of(gone), "slot 1: the process has ended");
  EXPECT_EQ(slot_fds_reply(1, Json::array()).status, 409);
  EXPECT_EQ(slot_fds_reply(1, Json(5)).status, 409);
}

TEST(FdReplies, ProtectTheServersOwnAndTheStandardStreams) {
  FdNote note;
  EXPECT_EQ(refuse_close(0, 2, note).value().status, 409);
  EXPECT_FALSE(refuse_close(0, 3, note));
  note.owner = FdOwner::kApplication;
  EXPECT_FALSE(refuse_close(0, 3, note));
  note.owner = FdOwner::kServer;
  note.role = FdRole::kRing;
  EXPECT_EQ(refuse_close(0, 3, note).value().status, 409);
  EXPECT_THAT(error_of(*refuse_close(0, 3, note)), HasSubstr("slot 0: descriptor 3 is the server's own"));
}

TEST(FdReplies, TurnTheWorkersAnswerIntoAStatus) {
  const ControlReply closed = close_reply(1, 30, CloseHow::kClose, 0);
  EXPECT_EQ(closed.status, 200);
  EXPECT_EQ(closed.body, "{\"closed\":30,\"slot\":1,\"how\":\"close\"}\n");
  EXPECT_EQ(close_reply(1, 30, CloseHow::kClose, EINTR).status, 200);
  EXPECT_EQ(close_reply(1, 30, CloseHow::kShutdown, EINTR).status, 409);
  EXPECT_EQ(close_reply(1, 30, CloseHow::kClose, EBADF).status, 409);
  EXPECT_EQ(error_of(close_reply(1, 30, CloseHow::kClose, EBADF)), "slot 1: descriptor 30 is not open");
  EXPECT_THAT(error_of(close_reply(1, 30, CloseHow::kShutdown, ENOTSOCK)), HasSubstr("is no socket; close it instead"));
  EXPECT_THAT(error_of(close_reply(1, 30, CloseHow::kClose, EPERM)), HasSubstr("is the server's own"));
  EXPECT_EQ(close_reply(1, 30, CloseHow::kClose, -12345).status, 409);  // whatever it wrote
}

TEST(FdReplies, TellAWorkerThatDoesNotReactFromOneThatEnded) {
  EXPECT_EQ(close_reply(1, 30, CloseHow::kClose, common::fail("no reaction", ETIMEDOUT)).status, 504);
  EXPECT_EQ(close_reply(1, 30, CloseHow::kClose, common::fail("ended", ESRCH)).status, 409);
}

}  // namespace
