// ControlSocket: taking the path, its permissions, and giving it back.
#include "master/control_socket.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <optional>
#include <vector>

#include "support/temporary_directory.h"

namespace {

using common::UniqueFd;
using master::ControlSocket;
using testing::HasSubstr;

class Umask {
 public:
  explicit Umask(mode_t mask) : before_(::umask(mask)) {}
  ~Umask() { ::umask(before_); }

 private:
  mode_t before_;
};

mode_t mode_of(const std::string& path) {
  struct stat file{};
  EXPECT_EQ(::lstat(path.c_str(), &file), 0) << path;
  return file.st_mode;
}

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

int try_connect(int fd, const std::string& path) {
  const sockaddr_un address = address_of(path);
  return ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

// The file of a server that crashed: bound, and nobody listens any more.
void leave_stale_socket(const std::string& path) {
  const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_un address = address_of(path);
  ASSERT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
}

TEST(ControlSocket, ListensWithExactlyTheModeWhateverTheUmask) {
  for (const mode_t mask : {0U, 022U, 0777U}) {
    const Umask umask(mask);
    for (const mode_t mode : {0600U, 0660U, 0666U}) {
      const support::TemporaryDirectory directory;
      const std::string path = directory.path("control.sock");
      const auto socket = ControlSocket::open(path, mode);
      ASSERT_TRUE(socket.has_value()) << socket.error().message;
      EXPECT_EQ(mode_of(path) & 07777U, mode);
      const UniqueFd client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
      EXPECT_EQ(try_connect(client.get(), path), 0);
    }
    EXPECT_EQ(::umask(mask), mask) << "the umask was not put back";
  }
}

TEST(ControlSocket, MakesTheLastDirectoryOnly) {
  const support::TemporaryDirectory directory;
  EXPECT_TRUE(ControlSocket::open(directory.path("one/control.sock"), 0600).has_value());
  EXPECT_TRUE(std::filesystem::is_directory(directory.path("one")));
  const auto refused = ControlSocket::open(directory.path("two/deep/control.sock"), 0600);
  ASSERT_FALSE(refused.has_value());
  EXPECT_THAT(refused.error().message, HasSubstr("two/deep"));
  EXPECT_THAT(refused.error().message, HasSubstr("--control"));
  EXPECT_FALSE(std::filesystem::exists(directory.path("two")));
}

TEST(ControlSocket, RemovesItsFileAtTheEnd) {
  const support::TemporaryDirectory directory;
  const std::string path = directory.path("control.sock");
  {
    auto socket = ControlSocket::open(path, 0600);
    ASSERT_TRUE(socket.has_value());
    std::optional<ControlSocket> moved(std::move(*socket));
    EXPECT_TRUE(std::filesystem::exists(path));
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(ControlSocket, LeavesTheFileOfASuccessor) {
  const support::TemporaryDirectory directory;
  const std::string path = directory.path("control.sock");
  {
    const auto socket = ControlSocket::open(path, 0600);
    ASSERT_TRUE(socket.has_value());
    std::filesystem::remove(path);
    leave_stale_socket(path);
  }
  EXPECT_TRUE(std::filesystem::exists(path));
}

TEST(ControlSocket, ReplacesTheFileOfOneThatIsGone) {
  const support::TemporaryDirectory directory;
  const std::string path = directory.path("control.sock");
  leave_stale_socket(path);
  const auto socket = ControlSocket::open(path, 0600);
  ASSERT_TRUE(socket.has_value()) << socket.error().message;
  const UniqueFd client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(try_connect(client.get(), path), 0);
}

TEST(ControlSocket, NamesThePidOfOneThatLives) {
  const support::TemporaryDirectory directory;
  const std::string path = directory.path("control.sock");
  const auto first = ControlSocket::open(path, 0600);
  ASSERT_TRUE(first.has_value());
  const auto second = ControlSocket::open(path, 0600);
  ASSERT_FALSE(second.has_value());
  EXPECT_THAT(second.error().message, HasSubstr(path));
  EXPECT_THAT(second.error().message, HasSubstr("pid " + std::to_string(::getpid())));
  EXPECT_TRUE(std::filesystem::exists(path));
}

TEST(ControlSocket, DoesNotWaitForOneWhoseQueueIsFull) {
  const support::TemporaryDirectory directory;
  const std::string path = directory.path("control.sock");
  const UniqueFd busy(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_un address = address_of(path);
  ASSERT_EQ(::bind(busy.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(busy.get(), 0), 0);
  std::vector<UniqueFd> queued;
  do {
    queued.emplace_back(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  } while (try_connect(queued.back().get(), path) == 0 && queued.size() < 16);
  EXPECT_FALSE(ControlSocket::open(path, 0600).has_value());
  EXPECT_TRUE(std::filesystem::exists(path));
}

TEST(ControlSocket, LeavesAFileThatIsNotASocket) {
  const support::TemporaryDirectory directory;
  const std::string path = directory.write("notes", "precious");
  const auto socket = ControlSocket::open(path, 0600);
  ASSERT_FALSE(socket.has_value());
  EXPECT_THAT(socket.error().message, HasSubstr("not a socket"));
  EXPECT_EQ(std::filesystem::file_size(path), 8U);
}

TEST(ControlSocket, RefusesAPathThatIsOneByteTooLong) {
  const support::TemporaryDirectory directory;
  const std::string prefix = directory.path("");
  const std::string longest = prefix + std::string(sizeof(sockaddr_un::sun_path) - 1 - prefix.size(), 'p');
  EXPECT_TRUE(ControlSocket::open(longest, 0600).has_value());
  const auto refused = ControlSocket::open(longest + "p", 0600);
  ASSERT_FALSE(refused.has_value());
  EXPECT_THAT(refused.error().message, HasSubstr("108 bytes"));
}

TEST(ControlSocket, KnowsItsPathFromEveryDirectory) {
  const support::TemporaryDirectory directory;
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(directory.path(""));
  const auto socket = ControlSocket::open("control.sock", 0600);
  std::filesystem::current_path(before);
  ASSERT_TRUE(socket.has_value()) << socket.error().message;
  EXPECT_TRUE(std::filesystem::path(socket->owned_path().path).is_absolute());
  EXPECT_TRUE(std::filesystem::exists(socket->owned_path().path));
}

}  // namespace
