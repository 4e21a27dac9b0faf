// Socket activation by a real systemd: the first client starts the service, in every form in which sockets are passed.
#include <gtest/gtest.h>

#include <set>

#include "booted_test.h"
#include "service.h"
#include "support/http_client.h"

namespace systemd {
namespace {

using support::fetch;

class ActivationTest : public BootedTest {
 protected:
  // The bodies of so many answers of /pid, each on a connection of its own.
  static std::set<std::string> who_answers(const std::string& address, int requests) {
    std::set<std::string> pids;
    for (int i = 0; i < requests; ++i) pids.insert(fetch(address, "/pid").body);
    return pids;
  }
  // The first answer is its worker's, and says nothing about the others.
  bool every_worker_serves(const Service& service) {
    return container().wait_show(service.unit(), "ActiveState", "active");
  }
};

TEST_F(ActivationTest, StartsAsManyWorkersAsThereAreEqualLines) {
  const Service service(container(), "shop", "torture", "");
  service.listen({"127.0.0.1:8100", "127.0.0.1:8100", "127.0.0.1:8100"});
  ASSERT_TRUE(service.start_socket().ok());
  EXPECT_EQ(service.show("ActiveState"), "inactive");
  EXPECT_EQ(fetch("127.0.0.1:8100", "/hello").status, 200);
  ASSERT_TRUE(every_worker_serves(service));
  const support::Status status = service.status();
  EXPECT_EQ(status.workers.size(), 3U);
  ASSERT_EQ(status.listeners.size(), 1U);
  EXPECT_EQ(status.listeners[0].address, "127.0.0.1:8100");
  EXPECT_EQ(status.listeners[0].sockets, 3);
  EXPECT_EQ(who_answers("127.0.0.1:8100", 60).size(), 3U);
}

TEST_F(ActivationTest, ExplainsWhyWorkersShareSocketsThatDoNotFitTheirNumber) {
  const Service service(container(), "shop", "torture", "workers.count = 2\n");
  service.listen({"127.0.0.1:8100", "127.0.0.1:8100", "127.0.0.1:8100"});
  ASSERT_TRUE(service.start_socket().ok());
  EXPECT_EQ(fetch("127.0.0.1:8100", "/hello").status, 200);
  EXPECT_EQ(service.status().workers.size(), 2U);
  EXPECT_TRUE(service.wait_journal("there are more sockets than workers"));
  for (int i = 0; i < 50; ++i) EXPECT_EQ(fetch("127.0.0.1:8100", "/hello").status, 200);
}

TEST_F(ActivationTest, SharesOneSocketAmongAllWorkers) {
  const Service service(container(), "shop", "torture", "workers.count = 2\n");
  service.listen({"127.0.0.1:8100"});
  ASSERT_TRUE(service.start_socket().ok());
  EXPECT_EQ(fetch("127.0.0.1:8100", "/hello").status, 200);
  EXPECT_TRUE(service.wait_journal("every worker serves all inherited sockets"));
  ASSERT_TRUE(every_worker_serves(service));
  EXPECT_EQ(who_answers("127.0.0.1:8100", 200).size(), 2U);
}

// systemd binds as root: whoever is root may join.
TEST_F(ActivationTest, AddsASocketForEachOtherWorkerWhereTheUserMay) {
  const Service service(container(), "shop", "torture", "workers.count = 3\n");
  service.add_drop_in("[Service]\nUser=\nGroup=\n");
  service.listen({"127.0.0.1:8100"});
  ASSERT_TRUE(service.start_socket().ok());
  EXPECT_EQ(fetch("127.0.0.1:8100", "/hello").status, 200);
  ASSERT_TRUE(every_worker_serves(service));
  const support::Status status = service.status();
  ASSERT_EQ(status.listeners.size(), 1U);
  EXPECT_EQ(status.listeners[0].sockets, 3);
  EXPECT_EQ(who_answers("127.0.0.1:8100", 100).size(), 3U);
}

TEST_F(ActivationTest, ServesAUnixSocketAndLeavesItsFileToSystemd) {
  const Service service(container(), "shop", "torture", "workers.count = 2\n");
  service.listen({"/run/shop.sock"}, "ReusePort=no\n");
  ASSERT_TRUE(service.start_socket().ok());
  const std::string address = "unix:" + container().outside("/run/shop.sock");
  EXPECT_EQ(fetch(address, "/hello").status, 200);
  ASSERT_TRUE(service.stop().ok());
  EXPECT_EQ(fetch(address, "/hello").status, 200) << "the next client did not start it again";
}

TEST_F(ActivationTest, FindsSeveralSocketsByTheirNames) {
  const Service service(container(), "shop", "torture",
                        "workers.count = 2\nlisten.bind = [\"systemd:inside\", \"systemd:outside\"]\n");
  container().write_unit("outside.socket",
                         "[Socket]\nListenStream=127.0.0.1:8101\nFileDescriptorName=outside\n"
                         "Service=supervisor@shop.service\n");
  container().write_unit("inside.socket",
                         "[Socket]\nListenStream=/run/inside.sock\nFileDescriptorName=inside\n"
                         "Service=supervisor@shop.service\n");
  ASSERT_TRUE(container().systemctl({"start", "outside.socket", "inside.socket"}).ok());
  EXPECT_EQ(fetch("127.0.0.1:8101", "/hello").status, 200);
  EXPECT_EQ(fetch("unix:" + container().outside("/run/inside.sock"), "/hello").status, 200);
  const support::Status status = service.status();
  ASSERT_EQ(status.listeners.size(), 2U);
  EXPECT_EQ(status.listeners[0].address, "unix:/run/inside.sock");
  EXPECT_EQ(status.listeners[1].address, "127.0.0.1:8101");
}

TEST_F(ActivationTest, SaysThatNothingWasPassedAlthoughItIsWanted) {
  const Service service(container(), "shop", "torture", "listen.bind = [\"systemd\"]\n");
  EXPECT_FALSE(service.start().ok());
  EXPECT_TRUE(service.wait_journal("no such socket was passed"));
  EXPECT_EQ(service.show("ExecMainStatus"), "1");
  EXPECT_EQ(service.restarts(), 0);
}

// In its own network a socket that we bind beside the passed one would never see a client.
TEST_F(ActivationTest, SharesTheSocketOfAnotherNetworkInsteadOfBindingOthersThatNobodyCanReach) {
  const Service service(container(), "shop", "torture", "workers.count = 2\n");
  service.add_drop_in("[Service]\nPrivateNetwork=yes\n");
  service.listen({"127.0.0.1:8100"});
  ASSERT_TRUE(service.start_socket().ok());
  EXPECT_EQ(fetch("127.0.0.1:8100", "/hello").status, 200);
  EXPECT_TRUE(service.wait_journal("of another network namespace (PrivateNetwork=)"));
  ASSERT_TRUE(every_worker_serves(service));
  EXPECT_EQ(who_answers("127.0.0.1:8100", 200).size(), 2U);
}

}  // namespace
}  // namespace systemd
