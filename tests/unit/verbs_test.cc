// Verbs: the claims about asking a running supervisor and showing what it says.
#include "master/verbs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <thread>

#include "common/address.h"
#include "common/unique_fd.h"
#include "master/control_client.h"

namespace {

using master::ask_control;
using master::ClientRequest;
using master::ClientVerb;
using master::OutputForm;
using master::parse_control_answer;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class Directory {
 public:
  Directory() {
    path_ = (std::filesystem::temp_directory_path() / "supervisor-verbs-XXXXXX").string();
    EXPECT_NE(mkdtemp(path_.data()), nullptr);
  }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  ~Directory() { std::filesystem::remove_all(path_); }
  std::string path(std::string_view name) const { return path_ + "/" + std::string(name); }

 private:
  std::string path_;
};

common::UniqueFd listen_on(const std::string& path) {
  const auto address = common::Address::parse("unix:" + path).value();
  common::UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(bind(fd.get(), address.get(), address.length), 0);
  EXPECT_EQ(listen(fd.get(), 1), 0);
  return fd;
}

// A supervisor that answers one question, whatever it is.
class OneAnswer {
 public:
  OneAnswer(const std::string& path, std::string answer)
      : listener_(listen_on(path)), thread_([this, answer = std::move(answer)] { serve(answer); }) {}

  std::string question() {
    thread_.join();
    return question_;
  }
  OneAnswer(const OneAnswer&) = delete;
  OneAnswer& operator=(const OneAnswer&) = delete;
  ~OneAnswer() {
    if (thread_.joinable()) thread_.join();
  }

 private:
  void serve(const std::string& answer) {
    const common::UniqueFd fd(accept(listener_.get(), nullptr, nullptr));
    char buffer[4096];
    while (question_.find("\r\n\r\n") == std::string::npos) {
      const ssize_t count = recv(fd.get(), buffer, sizeof buffer, 0);
      if (count <= 0) return;
      question_.append(buffer, static_cast<std::size_t>(count));
    }
    EXPECT_EQ(send(fd.get(), answer.data(), answer.size(), MSG_NOSIGNAL), static_cast<ssize_t>(answer.size()));
  }

  std::string question_;
  common::UniqueFd listener_;
  std::thread thread_;
};

struct Printed {
  int exit_code;
  std::string output;
  std::string error;
};

Printed run(const ClientRequest& request) {
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  const int exit_code = master::run_client_verb(request);
  return {exit_code, ::testing::internal::GetCapturedStdout(), ::testing::internal::GetCapturedStderr()};
}

ClientRequest request_to(const std::string& path, ClientVerb verb, OutputForm form = OutputForm::kText,
                         std::optional<std::uint32_t> slot = std::nullopt) {
  return {.verb = verb, .form = form, .control_path = path, .control_directories = {}, .slot = slot};
}

std::string mistake_at(const std::string& path) {
  return ask_control(path, "GET", "/status", common::Clock::now(), master::kControlPatience).error().message;
}

constexpr std::string_view kStatus = R"({"master":{"pid":1,"uptime_s":61.5}})";
constexpr std::string_view kFds =
    R"({"slot":0,"pid":7,"generation":1,"fds":{"total":3,"owned":1,"baseline":1,"leaked":1},
  "groups":[{"count":1,"owner":"application","text":"1 x pipe"}],"descriptors":[{"fd":5,"kind":"pipe"}]})";

TEST(ControlClient, TakesAnAnswerApart) {
  const auto answer = parse_control_answer("HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 202);
  EXPECT_EQ(answer->body, "{}");
}

TEST(ControlClient, RefusesWhatIsNotHttp) {
  for (const char* text :
       {"", "HTTP/1.1 200", "SSH-2.0-OpenSSH\r\n\r\n", "HTTP/1.1 abc\r\n\r\n", "HTTP/1.1 2\r\n\r\n"}) {
    const auto answer = parse_control_answer(text);
    ASSERT_FALSE(answer) << text;
    EXPECT_EQ(answer.error().message, "the answer is not HTTP; is this a supervisor's control socket?");
  }
}

TEST(ControlClient, SaysWhyNobodyAnswers) {
  const Directory directory;
  const std::string path = directory.path("control.sock");
  EXPECT_EQ(mistake_at(path),
            "control socket " + path + ": there is none; is the supervisor running? Say where with --control PATH");
  {
    const auto gone = listen_on(path);
  }
  EXPECT_EQ(mistake_at(path),
            "control socket " + path + ": nobody listens; it was left behind by a supervisor that is gone");
}

TEST(ControlClient, ChecksTheLengthOfThePath) {
  const std::string longest = "/" + std::string(common::kUnixPathMax - 1, 'p');
  EXPECT_THAT(mistake_at(longest), HasSubstr("there is none"));
  EXPECT_THAT(mistake_at(longest + "p"), HasSubstr("a path has 1 to 107 bytes; use a shorter one"));
  EXPECT_THAT(mistake_at(""), HasSubstr("a path has 1 to 107 bytes"));
}

TEST(ControlClient, GivesUpAtItsDeadlineWhenTheSupervisorIsSilent) {
  const Directory directory;
  const std::string path = directory.path("control.sock");
  const auto listener = listen_on(path);  // the kernel accepts, nobody reads
  const auto answer =
      ask_control(path, "GET", "/status", common::Clock::now() - std::chrono::seconds(5), std::chrono::seconds(5));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().message,
            "control socket " + path + ": no answer within 5 s; the supervisor is stopped or stuck");
}

TEST(ControlClient, RefusesAnAnswerBeyondItsLimit) {
  const Directory directory;
  const std::string path = directory.path("control.sock");
  const common::UniqueFd listener = listen_on(path);
  std::thread flood([&] {
    const common::UniqueFd fd(accept(listener.get(), nullptr, nullptr));
    const std::string chunk(1 << 20, 'x');
    while (send(fd.get(), chunk.data(), chunk.size(), MSG_NOSIGNAL) > 0) {
    }
  });
  EXPECT_THAT(mistake_at(path), HasSubstr("the answer has more than 17 MiB"));
  flood.join();
}

ClientRequest with_workers(std::uint32_t workers) {
  ClientRequest request = request_to("", ClientVerb::kScale);
  request.workers = workers;
  return request;
}

ClientRequest with_fd(std::uint32_t slot, std::uint32_t fd, master::CloseHow how) {
  ClientRequest request = request_to("", ClientVerb::kCloseFd, OutputForm::kText, slot);
  request.fd = fd;
  request.how = how;
  return request;
}

TEST(Verbs, AskWhatTheContractSays) {
  const Directory directory;
  struct Case {
    ClientRequest request;
    std::string start;
    std::string output;
  };
  int count = 0;
  for (Case& item : std::vector<Case>{
           {request_to("", ClientVerb::kStop), "POST /stop HTTP/1.1\r\n", "stopping gracefully\n"},
           {request_to("", ClientVerb::kRecycle, OutputForm::kText, 3), "POST /recycle?slot=3 HTTP/1.1\r\n",
            "slot 3: replacement of its worker queued\n"},
           {with_workers(8), "POST /scale?workers=8 HTTP/1.1\r\n", "scaling to 8 workers\n"},
           {with_fd(2, 30, master::CloseHow::kClose), "POST /close-fd?slot=2&fd=30&how=close HTTP/1.1\r\n",
            "slot 2: descriptor 30 closed\n"},
           {with_fd(0, 31, master::CloseHow::kShutdown), "POST /close-fd?slot=0&fd=31&how=shutdown HTTP/1.1\r\n",
            "slot 0: descriptor 31 shut down\n"}}) {
    item.request.control_path = directory.path(std::to_string(++count));
    OneAnswer supervisor(item.request.control_path, "HTTP/1.1 202 Accepted\r\n\r\n{}");
    const Printed printed = run(item.request);
    EXPECT_EQ(printed.exit_code, 0);
    EXPECT_EQ(printed.output, item.output);
    EXPECT_EQ(printed.error, "");
    const std::string question = supervisor.question();
    EXPECT_THAT(question, StartsWith(item.start));
    EXPECT_THAT(question, HasSubstr("\r\nConnection: close\r\n"));
  }
}

TEST(Verbs, SayWhatARangeMadeOfTheNumberOfWorkers) {
  const Directory directory;
  const auto scaled = [&](const std::string& name, const std::string& body) {
    ClientRequest request = with_workers(8);
    request.control_path = directory.path(name);
    OneAnswer supervisor(request.control_path, "HTTP/1.1 202 Accepted\r\n\r\n" + body);
    return run(request).output;
  };
  EXPECT_EQ(scaled("a", R"({"workers":8})"), "scaling to 8 workers\n");
  EXPECT_EQ(scaled("b", R"({"workers":4})"), "scaling to 4 workers, as near to 8 as the configuration allows\n");
  EXPECT_EQ(scaled("c", R"({"workers":"many"})"), "scaling to 8 workers\n");
}

TEST(Verbs, AskForDescriptorsOfOneWorkerOrAll) {
  const Directory directory;
  const std::string answer = "HTTP/1.1 200 OK\r\n\r\n" + std::string(kFds);
  OneAnswer all(directory.path("a"), answer);
  EXPECT_EQ(run(request_to(directory.path("a"), ClientVerb::kFds)).output,
            "slot 0, pid 7, generation 1: 3 descriptors: 1 of the server, 1 from the start, 1 grown\n  1 x pipe\n");
  EXPECT_THAT(all.question(), StartsWith("GET /fds HTTP/1.1\r\n"));
  OneAnswer one(directory.path("b"), answer);
  ClientRequest request = request_to(directory.path("b"), ClientVerb::kFds, OutputForm::kText, 0);
  request.detail = master::FdDetail::kAll;
  EXPECT_THAT(run(request).output, ::testing::EndsWith("  1 x pipe\n        5  pipe\n"));
  EXPECT_THAT(one.question(), StartsWith("GET /fds?slot=0 HTTP/1.1\r\n"));
  OneAnswer json(directory.path("c"), answer);
  EXPECT_EQ(run(request_to(directory.path("c"), ClientVerb::kFds, OutputForm::kJson)).output, std::string(kFds) + "\n");
}

TEST(Verbs, PrintJsonAsItCameOrAsATable) {
  const Directory directory;
  const std::string answer = "HTTP/1.1 200 OK\r\n\r\n" + std::string(kStatus);
  OneAnswer first(directory.path("a"), answer);
  EXPECT_EQ(run(request_to(directory.path("a"), ClientVerb::kStatus, OutputForm::kJson)).output,
            std::string(kStatus) + "\n");
  OneAnswer second(directory.path("b"), answer);
  EXPECT_THAT(run(request_to(directory.path("b"), ClientVerb::kStatus)).output, StartsWith("master pid 1, "));
}

TEST(Verbs, PassOnWhyTheSupervisorRefused) {
  const Directory directory;
  OneAnswer worded(directory.path("a"), "HTTP/1.1 409 Conflict\r\n\r\n{\"error\":\"slot 9: no worker\"}");
  const Printed refused = run(request_to(directory.path("a"), ClientVerb::kRecycle, OutputForm::kText, 9));
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_EQ(refused.output, "");
  EXPECT_EQ(refused.error, "supervisor: slot 9: no worker\n");
  OneAnswer silent(directory.path("b"), "HTTP/1.1 500 Internal Server Error\r\n\r\noops");
  EXPECT_EQ(run(request_to(directory.path("b"), ClientVerb::kStop)).error,
            "supervisor: the supervisor answered with status 500\n");
}

TEST(Verbs, TellByTheExitCodeThatTheServiceStops) {
  const Directory directory;
  OneAnswer stopping(directory.path("a"), "HTTP/1.1 410 Gone\r\n\r\n{\"error\":\"the service stops\"}");
  const Printed refused = run(request_to(directory.path("a"), ClientVerb::kReload));
  EXPECT_EQ(refused.exit_code, 75);
  EXPECT_EQ(refused.error, "supervisor: the service stops\n");
}

TEST(Verbs, RefuseATruncatedAnswer) {
  const Directory directory;
  for (const OutputForm form : {OutputForm::kJson, OutputForm::kText}) {
    const std::string path = directory.path(form == OutputForm::kJson ? "a" : "b");
    OneAnswer supervisor(path, "HTTP/1.1 200 OK\r\n\r\n{\"master\":");
    const Printed printed = run(request_to(path, ClientVerb::kStatus, form));
    EXPECT_EQ(printed.exit_code, 1);
    EXPECT_EQ(printed.output, "");
    EXPECT_THAT(printed.error, HasSubstr("the answer is not a whole JSON object"));
  }
}

TEST(Verbs, AskTheUnitWhereNothingIsAtTheFirstPath) {
  const Directory directory;
  ClientRequest request = request_to(directory.path("shop.sock"), ClientVerb::kStop);
  request.unit_control_path = directory.path("control.sock");
  EXPECT_THAT(run(request).error, HasSubstr(directory.path("shop.sock")));
  OneAnswer unit(directory.path("control.sock"), "HTTP/1.1 202 Accepted\r\n\r\n{}");
  EXPECT_EQ(run(request).output, "stopping gracefully\n");
}

TEST(Verbs, FindTheOnlySocketOfADirectory) {
  const Directory directory;
  std::filesystem::create_directory(directory.path("sockets"));
  std::ofstream(directory.path("sockets/file.sock")) << "not a socket";
  ClientRequest request = request_to("", ClientVerb::kStop);
  request.control_directories = {directory.path("missing"), directory.path("sockets")};
  EXPECT_THAT(run(request).error, HasSubstr("no control socket in " + directory.path("missing") + " or "));
  OneAnswer supervisor(directory.path("sockets/shop.sock"), "HTTP/1.1 202 Accepted\r\n\r\n{}");
  EXPECT_EQ(run(request).output, "stopping gracefully\n");
  std::filesystem::create_directory(directory.path("sockets/blog"));
  const auto other = listen_on(directory.path("sockets/blog/control.sock"));
  EXPECT_THAT(run(request).error, HasSubstr("several supervisors run; choose with --control PATH: " +
                                            directory.path("sockets/blog/control.sock") + ", "));
}

}  // namespace
