// torture.so: the routes that other tests build on, without a server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <iterator>
#include <string>
#include <string_view>

#include "support/environment.h"
#include "support/temporary_directory.h"
#include "worker/application.h"

namespace {

using testing::HasSubstr;

class Answer final : public worker::Exchange {
 public:
  void respond(int code, std::span<const common::Field>, std::string_view text) override {
    status = code;
    body = text;
  }
  std::string_view peer() override { return "192.0.2.7:51234"; }
  int fd() const override { return -1; }

  int status = 0;
  std::string body;
};

long open_descriptors() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), std::filesystem::directory_iterator());
}

class TortureTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(application) << application.error().message;
    ASSERT_TRUE(application->load());
  }
  Answer ask(std::string_view target, std::string_view body = "") {
    common::Request request;
    request.method = "GET";
    request.target = target;
    request.body = body;
    return ask(request);
  }
  Answer ask(const common::Request& request) {
    Answer answer;
    context.begin(request, answer);
    application->handle(context);
    return answer;
  }

  common::Config config;
  worker::Host host{config};
  worker::RequestContext context;
  common::Result<worker::Application> application = worker::Application::open(support::application("torture"), host);
};

TEST_F(TortureTest, AnswersThePlainRoutes) {
  EXPECT_EQ(ask("/hello").body, "hello\n");
  EXPECT_EQ(ask("/pid").body, std::to_string(getpid()) + "\n");
  EXPECT_EQ(ask("/cancelled").body, "0\n");
  EXPECT_EQ(ask("/sleep?ms=0").status, 200);
  EXPECT_EQ(ask("/burn?ms=1").status, 200);
  EXPECT_EQ(ask("/alloc?mb=1").status, 200);
  EXPECT_EQ(ask("/wait?ms=1").status, 501);
  EXPECT_EQ(ask("/stream?bytes=1&chunk=1").status, 501);
  EXPECT_EQ(ask("/nothing").status, 404);
  EXPECT_EQ(ask("http://host/hello?x").body, "hello\n");
}

TEST_F(TortureTest, ShowsARequestAsJson) {
  const std::array<common::Field, 2> headers = {{{"Host", "a"}, {"X-Quote", "\"\\\xff\t"}}};
  const std::array<common::Field, 1> trailers = {{{"Checksum", "7"}}};
  common::Request request;
  request.method = "POST";
  request.target = "/inspect?a=b";
  request.headers = headers;
  request.trailers = trailers;
  request.body = std::string_view("\0\xff hi", 5);
  EXPECT_EQ(ask(request).body,
            R"({"method":"POST","target":"/inspect?a=b","version":"1.1",)"
            R"("headers":[["Host","a"],["X-Quote","\"\\\u00ff\u0009"]],)"
            R"("body":"AP8gaGk=","trailers":[["Checksum","7"]],"peer":"192.0.2.7:51234","scheme":"http"})"
            "\n");
}

TEST_F(TortureTest, EncodesBodiesOfEveryRemainder) {
  EXPECT_THAT(ask("/inspect", "").body, HasSubstr(R"("body":"")"));
  EXPECT_THAT(ask("/inspect", "f").body, HasSubstr(R"("body":"Zg==")"));
  EXPECT_THAT(ask("/inspect", "fo").body, HasSubstr(R"("body":"Zm8=")"));
  EXPECT_THAT(ask("/inspect", "foo").body, HasSubstr(R"("body":"Zm9v")"));
}

TEST_F(TortureTest, LeaksExactlyWhatItWasAskedFor) {
  for (const std::string kind : {"file", "socket", "pipe", "eventfd", "epoll", "timerfd", "inotify", "memfd", "tcp"}) {
    const long before = open_descriptors();
    EXPECT_EQ(ask("/leak?kind=" + kind + "&count=3").body, "leaked 3\n");
    EXPECT_EQ(open_descriptors() - before, 3) << kind;
  }
}

TEST_F(TortureTest, LeaksSometimes) {
  const long before = open_descriptors();
  for (int request = 0; request < 7; ++request) EXPECT_EQ(ask("/leak-sometimes?kind=epoll&every=3").status, 200);
  EXPECT_EQ(open_descriptors() - before, 2);
}

TEST_F(TortureTest, ClosesWhatItOpensForAWhile) {
  const long before = open_descriptors();
  EXPECT_EQ(ask("/files?count=3").body, "opened and closed 3\n");
  EXPECT_EQ(ask("/burst?count=50&ms=1").body, "opened and closed 50\n");
  EXPECT_EQ(open_descriptors(), before);
}

TEST_F(TortureTest, RefusesParametersOutOfRange) {
  for (const std::string_view target :
       {"/sleep", "/sleep?ms=", "/sleep?ms=-1", "/sleep?ms=1x", "/sleep?ms=3600001", "/leak?kind=file",
        "/leak?kind=file&count=0", "/leak?kind=other&count=1", "/leak-peer?port=65536", "/leak-sometimes?kind=file",
        "/files", "/burst?count=1", "/crash?how=sideways", "/alloc?mb=0", "/file"}) {
    EXPECT_EQ(ask(target).status, 400) << target;
  }
}

TEST_F(TortureTest, ReadsFilesByDecodedPath) {
  const support::TemporaryDirectory directory;
  const std::string path = directory.write("a b", "content");
  EXPECT_EQ(ask("/file?path=" + path.substr(0, path.size() - 2) + "%20b").body, "content");
  EXPECT_EQ(ask("/file?path=" + path.substr(0, path.size() - 2) + "+b").body, "content");
  EXPECT_EQ(ask("/file?path=/no/such").status, 404);
  EXPECT_EQ(ask("/file?path=/tmp").status, 404);
}

TEST_F(TortureTest, LivesOnAfterAThrownException) {
  EXPECT_EQ(ask("/crash?how=throw").status, 500);
  EXPECT_EQ(ask("/leak-peer?port=1").status, 500);  // nobody listens there
  EXPECT_EQ(ask("/hello").status, 200);
}

}  // namespace
