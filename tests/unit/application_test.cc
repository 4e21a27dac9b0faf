// Application: what a loader of foreign code accepts, and the words in which it refuses.
#include "worker/application.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "common/unique_fd.h"
#include "support/environment.h"
#include "support/temporary_directory.h"
#include "worker/host.h"

namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

common::Config config_with_small_load() {
  common::Config config;
  config.app = {{"mb", "3"}};
  return config;
}

std::string bytes_of(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

class LastAnswer final : public worker::Exchange {
 public:
  void respond(int code, std::span<const common::Field> fields, std::string_view text) override {
    status = code;
    headers = fields.size();
    body = text;
  }
  std::string_view peer() override { return "192.0.2.7:51234"; }
  int fd() const override { return -1; }

  int status = 0;
  std::size_t headers = 0;
  std::string body;
};

class ApplicationTest : public testing::Test {
 protected:
  std::string open_error(const std::string& path) {
    auto application = worker::Application::open(path, host);
    return application ? "accepted" : application.error().message;
  }
  std::string load_error(std::string_view name) {
    auto application = worker::Application::open(support::application(name), host);
    if (!application) return "not opened: " + application.error().message;
    auto loaded = application->load();
    return loaded ? "loaded" : loaded.error().message;
  }
  std::string worker_start_error(std::string_view name) {
    auto application = worker::Application::open(support::application(name), host);
    if (!application) return "not opened: " + application.error().message;
    auto started = application->worker_start({sizeof(supervisor_worker_info), 3, 1});
    return started ? "started" : started.error().message;
  }
  LastAnswer answer_to(worker::Application& application, std::string_view target) {
    LastAnswer answer;
    common::Request request;
    request.method = "GET";
    request.target = target;
    context.begin(request, answer);
    application.handle(context);
    EXPECT_TRUE(context.answered());
    return answer;
  }

  worker::Host host{config_with_small_load()};
  worker::RequestContext context;
  support::TemporaryDirectory directory;
};

struct ChildEnd {
  int status = 0;    // of waitpid(2)
  std::string text;  // what `step` returned
};

// Runs `step`, which returns a text, in a child: what it leaves behind or dies of stays there.
template <typename Step>
ChildEnd run_in_child(Step step) {
  int channel[2];
  EXPECT_EQ(pipe2(channel, O_CLOEXEC), 0);
  const common::UniqueFd read_end(channel[0]);
  common::UniqueFd write_end(channel[1]);
  const pid_t child = fork();
  if (child == 0) {
    const std::string text = step();
    _exit(write(write_end.get(), text.data(), text.size()) < 0 ? 1 : 0);
  }
  write_end.reset();
  ChildEnd end;
  char buffer[1024];
  for (ssize_t got = 0; (got = read(read_end.get(), buffer, sizeof buffer)) > 0;) {
    end.text.append(buffer, static_cast<std::size_t>(got));
  }
  EXPECT_EQ(waitpid(child, &end.status, 0), child);
  return end;
}

TEST_F(ApplicationTest, ServesHelloInBothLanguages) {
  for (const std::string_view name : {"hello", "hello_c"}) {
    auto application = worker::Application::open(support::application(name), host);
    ASSERT_TRUE(application) << application.error().message;
    ASSERT_TRUE(application->load());
    ASSERT_TRUE(application->worker_start({sizeof(supervisor_worker_info), 0, 1}));
    const LastAnswer answer = answer_to(*application, "/");
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.body, "hello\n");
    application->worker_stop();
  }
}

TEST_F(ApplicationTest, IsNamedByItsDescription) {
  EXPECT_EQ(worker::Application::open(support::application("hello_c"), host)->name(), "hello_c");
  EXPECT_EQ(worker::Application::open(support::application("hello"), host)->name(), "Hello");
}

TEST_F(ApplicationTest, IsFoundInTheWorkingDirectoryWithoutASlash) {
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(support::binary_directory());
  EXPECT_EQ(open_error("hello.so"), "accepted");
  std::filesystem::current_path(before);
}

TEST_F(ApplicationTest, SaysWhatAFileIsInsteadOfAnApplication) {
  EXPECT_THAT(open_error("/no/such.so"), HasSubstr("/no/such.so: no such file"));
  EXPECT_THAT(open_error("/tmp"), HasSubstr("is a directory"));
  EXPECT_THAT(open_error("/dev/null"), HasSubstr("not a regular file"));
  EXPECT_THAT(open_error(directory.write("empty.so", "")), HasSubstr("not a shared object"));
  EXPECT_THAT(open_error(directory.write("text.so", "#include <supervisor/app.hpp>\n")),
              HasSubstr("not a shared object"));
}

TEST_F(ApplicationTest, SaysThatAFileIsNotReadable) {
  const std::string path = directory.write("secret.so", bytes_of(support::application("hello")));
  std::filesystem::permissions(path, std::filesystem::perms::none);
  const ChildEnd end = run_in_child([&] {
    // Root reads everything.
    if (geteuid() == 0 && setuid(65534) != 0) return std::string("setuid failed");
    return open_error(path);
  });
  EXPECT_THAT(end.text, HasSubstr("secret.so: not readable by this user"));
}

TEST_F(ApplicationTest, SaysThatALibraryIsCutOffOrForAnotherMachine) {
  const std::string whole = bytes_of(support::application("hello"));
  EXPECT_THAT(open_error(directory.write("head.so", whole.substr(0, 20))), HasSubstr("cut off"));
  EXPECT_THAT(open_error(directory.write("table.so", whole.substr(0, 100))), HasSubstr("cut off"));
  EXPECT_THAT(open_error(directory.write("half.so", whole.substr(0, 6000))), HasSubstr("cut off"));
  std::string foreign = whole;
  foreign[18] = static_cast<char>(243);  // e_machine
  EXPECT_THAT(open_error(directory.write("foreign.so", foreign)), HasSubstr("built for riscv"));
  EXPECT_EQ(open_error(directory.write("whole.so", whole)), "accepted");
}

TEST_F(ApplicationTest, SaysThatAProgramIsNotALibrary) {
  EXPECT_THAT(open_error("/proc/self/exe"), HasSubstr("cannot be loaded"));
}

TEST_F(ApplicationTest, NamesTheUndefinedSymbol) {
  EXPECT_THAT(open_error(support::application("undefined_symbol")),
              AllOf(HasSubstr("undefined symbol"), HasSubstr("function_of_a_library_that_was_forgotten")));
}

TEST_F(ApplicationTest, AsksForTheEntryPoint) {
  EXPECT_THAT(open_error(support::application("no_symbol")), HasSubstr("exports no symbol supervisor_application"));
}

TEST_F(ApplicationTest, SaysWhichSideOfTheInterfaceIsOlder) {
  EXPECT_THAT(open_error(support::application("abi_newer")),
              HasSubstr("version 2, this supervisor offers 1; use a newer"));
  EXPECT_THAT(open_error(support::application("abi_older")),
              HasSubstr("version 0, this supervisor offers 1; build the app"));
}

TEST_F(ApplicationTest, RefusesADescriptionItCannotServe) {
  EXPECT_THAT(open_error(support::application("size_too_small")), HasSubstr("size is 64 bytes, 72 needed"));
  EXPECT_THAT(open_error(support::application("kind_unknown")), HasSubstr("kind 2 is not supported"));
  EXPECT_THAT(open_error(support::application("handler_unknown")), HasSubstr("handler 2 is not supported"));
  EXPECT_THAT(open_error(support::application("no_handler")), HasSubstr("handle is NULL"));
}

TEST_F(ApplicationTest, PassesOnWhyNoApplicationWasMade) {
  EXPECT_THAT(open_error(support::application("returns_null")), HasSubstr("no licence"));
  EXPECT_THAT(open_error(support::application("returns_null_silently")),
              HasSubstr("returned NULL without giving a reason"));
  EXPECT_THAT(open_error(support::application("constructor_throws")), HasSubstr("no licence"));
}

TEST_F(ApplicationTest, PassesOnWhyLoadFailed) {
  EXPECT_THAT(load_error("load_fails"), HasSubstr("load_fails.so: load failed: the model is missing"));
  EXPECT_THAT(load_error("load_fails_silently"), HasSubstr("returned 7 without giving a reason"));
  EXPECT_THAT(load_error("load_throws"), HasSubstr("load failed: the model is missing"));
}

TEST_F(ApplicationTest, DoesNotTakeAnOldReasonForANewFailure) {
  EXPECT_THAT(load_error("load_fails"), HasSubstr("the model is missing"));
  host.table().fail({"stale", 5});
  EXPECT_THAT(load_error("load_fails_silently"), Not(HasSubstr("stale")));
}

TEST_F(ApplicationTest, PassesOnWhyAWorkerDidNotStart) {
  EXPECT_THAT(worker_start_error("worker_start_fails"), HasSubstr("worker_start failed: no database"));
  EXPECT_THAT(worker_start_error("worker_start_throws"), HasSubstr("worker_start failed: no database"));
}

TEST_F(ApplicationTest, ContainsExceptionsThatCrossTheInterface) {
  EXPECT_THAT(load_error("exceptions_escape"), HasSubstr("exception escaped from load"));
  EXPECT_THAT(worker_start_error("exceptions_escape"), HasSubstr("not derived from std::exception"));
  auto application = worker::Application::open(support::application("exceptions_escape"), host);
  EXPECT_EQ(answer_to(*application, "/").status, 500);
  application->worker_stop();
}

TEST_F(ApplicationTest, NamesTheThreadLeftBehindByLoad) {
  const ChildEnd end = run_in_child([&] { return load_error("thread_after_load"); });
  EXPECT_THAT(end.text, AllOf(HasSubstr("1 thread(s) alive after load: \"left-behind\""), HasSubstr("worker_start")));
}

TEST_F(ApplicationTest, AcceptsThreadsThatLoadJoined) { EXPECT_EQ(load_error("thread_joined_in_load"), "loaded"); }

TEST_F(ApplicationTest, DiesWithAnApplicationThatCrashesInLoad) {
  // A sanitizer catches the signal and exits instead.
  const ChildEnd end = run_in_child([&] { return load_error("load_crashes"); });
  EXPECT_EQ(end.text, "");
  EXPECT_TRUE(WIFSIGNALED(end.status) ? WTERMSIG(end.status) == SIGSEGV : WEXITSTATUS(end.status) != 0);
}

TEST_F(ApplicationTest, HandsOverSettings) {
  auto application = worker::Application::open(support::application("big_load"), host);
  ASSERT_TRUE(application);
  ASSERT_TRUE(application->load());
  EXPECT_EQ(answer_to(*application, "/").body, "3 MiB loaded\n");
}

TEST_F(ApplicationTest, AnswersForAHandlerThatDoesNotOrMayNot) {
  auto application = worker::Application::open(support::application("bad_answers"), host);
  ASSERT_TRUE(application);
  for (const std::string_view path :
       {"/status", "/split", "/length", "/null-body", "/null-headers", "/size", "/silent"}) {
    const LastAnswer answer = answer_to(*application, path);
    EXPECT_EQ(answer.status, 500) << path;
    EXPECT_EQ(answer.headers, 0U) << path;
  }
  EXPECT_EQ(answer_to(*application, "/twice").body, "hello\n");
  EXPECT_EQ(answer_to(*application, "/").status, 200);
}

}  // namespace
