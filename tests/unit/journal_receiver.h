// JournalReceiver: the receiving end of the journal's protocol, to see what is sent.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "common/unique_fd.h"
#include "support/temporary_directory.h"

namespace test_stage {

using JournalRecord = std::map<std::string, std::string>;

// Strict: what is no whole record is a failure.
inline JournalRecord parse_journal(std::string_view bytes) {
  JournalRecord record;
  while (!bytes.empty()) {
    const std::size_t end = bytes.find_first_of("=\n");
    if (end == bytes.npos) break;
    const std::string name(bytes.substr(0, end));
    const bool is_binary = bytes[end] == '\n';
    bytes.remove_prefix(end + 1);
    std::uint64_t size = bytes.find('\n');
    if (is_binary) {
      if (bytes.size() < sizeof size) break;
      std::memcpy(&size, bytes.data(), sizeof size);  // little-endian, as are the machines this runs on
      bytes.remove_prefix(sizeof size);
    }
    if (size >= bytes.size() || bytes[size] != '\n') break;
    EXPECT_TRUE(record.emplace(name, bytes.substr(0, size)).second) << name << " twice";
    bytes.remove_prefix(size + 1);
  }
  EXPECT_EQ(bytes, "") << "is no field";
  return record;
}

class JournalReceiver {
 public:
  JournalReceiver() { listen(); }

  const std::string& path() const { return path_; }

  void listen() {
    unlink(path_.c_str());
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof address.sun_path - 1);
    socket_ = common::UniqueFd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    EXPECT_EQ(bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  // As if journald had gone: the file stays, and nobody is there.
  void leave() { socket_.reset(); }

  // The next datagram's bytes, or those of the memfd that it brought; nullopt if there is none.
  std::optional<std::string> take_bytes() {
    std::string bytes(std::size_t{4} << 20, '\0');
    iovec part{.iov_base = bytes.data(), .iov_len = bytes.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t size = recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC);
    if (size < 0) return std::nullopt;
    bytes.resize(static_cast<std::size_t>(size));
    const cmsghdr* const header = CMSG_FIRSTHDR(&message);
    if (header == nullptr) return bytes;
    EXPECT_EQ(size, 0) << "data beside a descriptor";
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
    const common::UniqueFd memory(fd);
    seals = fcntl(memory.get(), F_GET_SEALS);
    bytes.resize(static_cast<std::size_t>(lseek(memory.get(), 0, SEEK_END)));
    EXPECT_EQ(pread(memory.get(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
    return bytes;
  }
  std::optional<JournalRecord> take() {
    const auto bytes = take_bytes();
    return bytes ? std::optional(parse_journal(*bytes)) : std::nullopt;
  }

  std::optional<int> seals{};  // of the last memfd

 private:
  support::TemporaryDirectory directory_;
  std::string path_ = directory_.path("socket");
  common::UniqueFd socket_;
};

}  // namespace test_stage
