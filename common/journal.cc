// Journal: encoding, sending, sealing.
#include "common/journal.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <optional>

#include "common/high_fd.h"
#include "common/utf8.h"

namespace common {
namespace {

constexpr int kSendBytes = 1024 * 1024;  // wished for; net.core.wmem_max caps it
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;

bool is_valid_name(std::string_view name) {
  const auto is_letter = [](char c) { return c >= 'A' && c <= 'Z'; };
  return !name.empty() && name.size() <= kJournalNameMax && is_letter(name[0]) &&
         std::ranges::all_of(name, [&](char c) { return is_letter(c) || (c >= '0' && c <= '9') || c == '_'; });
}

void append_little_endian(std::string& out, std::uint64_t number) {
  for (int shift = 0; shift < 64; shift += 8) out += static_cast<char>(number >> shift & 0xff);
}

std::optional<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return std::nullopt;
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

template <typename Number>
bool read_number(std::string_view text, Number& number) {
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && rest == text.data() + text.size();
}

// A descriptor to send along, or none.
ssize_t send_to(int socket, sockaddr_un address, std::string_view datagram, int passed) {
  iovec part{.iov_base = const_cast<char*>(datagram.data()), .iov_len = datagram.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof passed)] = {};
  msghdr message{};
  message.msg_name = &address;
  message.msg_namelen = sizeof address;
  if (!datagram.empty()) {
    message.msg_iov = &part;
    message.msg_iovlen = 1;
  }
  if (passed >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof passed);
    std::memcpy(CMSG_DATA(header), &passed, sizeof passed);
  }
  return sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

}  // namespace

std::string journal_name(std::string_view name) {
  std::string result = "SUPERVISOR_";
  for (const char c : name.substr(0, kJournalNameMax - result.size())) {
    if (c >= 'a' && c <= 'z') {
      result += static_cast<char>(c - 'a' + 'A');
    } else {
      result += (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ? c : '_';
    }
  }
  return result;
}

std::string journal_text(std::string_view raw) {
  static constexpr char kHex[] = "0123456789abcdef";
  const std::string text = valid_utf8(raw);
  std::string result;
  result.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    auto byte = static_cast<unsigned char>(text[i]);
    // U+0080 to U+009F control terminals, too.
    const bool is_c1 = byte == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0;
    if (is_c1) byte = static_cast<unsigned char>(text[++i]);
    if (is_c1 || byte == 0x7f || (byte < 0x20 && byte != '\n' && byte != '\t')) {
      result += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
    } else {
      result += static_cast<char>(byte);
    }
  }
  return result;
}

std::string encode_journal(std::span<const JournalField> fields) {
  std::string record;
  for (const JournalField& field : fields) {
    if (!is_valid_name(field.name)) continue;
    const std::string_view value = cut_utf8(field.value, kJournalValueMax);
    record += field.name;
    if (value.find('\n') == std::string_view::npos) {
      record += '=';
    } else {
      record += '\n';
      append_little_endian(record, value.size());
    }
    record += value;
    record += '\n';
  }
  return record;
}

bool is_journal_stream(std::string_view journal_stream, int fd) {
  const std::size_t colon = journal_stream.find(':');
  if (colon == std::string_view::npos) return false;
  dev_t device = 0;
  ino_t inode = 0;
  struct stat status{};
  return read_number(journal_stream.substr(0, colon), device) && read_number(journal_stream.substr(colon + 1), inode) &&
         fstat(fd, &status) == 0 && status.st_dev == device && status.st_ino == inode;
}

Result<void> reach_journal(const std::string& path) {
  const auto address = address_of(path);
  const UniqueFd probe(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const bool is_there =
      address && probe && connect(probe.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) == 0;
  if (is_there) return {};
  const int errnum = address ? errno : ENAMETOOLONG;
  return fail("log.format = \"journal\": no journal listens on " + path + " (" + errno_text(errnum) +
                  "); start systemd-journald, or set log.format to \"text\" or \"json\"",
              errnum);
}

// If there is something else under this number now, it belongs to somebody else.
Journal::~Journal() {
  if (!is_ours()) socket_.release();
}

void Journal::open() {
  if (is_ours()) return;
  socket_.release();
  UniqueFd fd = move_high(UniqueFd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)));
  struct stat status{};
  if (!fd || fstat(fd.get(), &status) < 0) return;
  setsockopt(fd.get(), SOL_SOCKET, SO_SNDBUF, &kSendBytes, sizeof kSendBytes);
  device_ = status.st_dev;
  inode_ = status.st_ino;
  socket_ = std::move(fd);
}

bool Journal::is_ours() const {
  struct stat status{};
  return socket_ && fstat(socket_.get(), &status) == 0 && status.st_dev == device_ && status.st_ino == inode_;
}

Journal::Sent Journal::send(std::span<const JournalField> fields) {
  open();
  const auto address = address_of(path_);
  if (!socket_ || !address) return Sent::kDropped;
  const std::string record = encode_journal(fields);
  if (send_to(socket_.get(), *address, record, -1) >= 0) return Sent::kYes;
  // ENOBUFS: it would fit, but the kernel has no memory in one piece for it.
  return errno == EMSGSIZE || errno == ENOBUFS ? send_memory(record) : Sent::kDropped;
}

// The journal reads it by itself when it has been sealed: it can then not be changed meanwhile.
Journal::Sent Journal::send_memory(std::string_view record) {
  const UniqueFd memory(memfd_create("supervisor-log", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memory) return Sent::kDropped;
  while (!record.empty()) {
    const ssize_t written = write(memory.get(), record.data(), record.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return Sent::kDropped;
    record.remove_prefix(static_cast<std::size_t>(written));
  }
  if (fcntl(memory.get(), F_ADD_SEALS, kSeals) < 0) return Sent::kDropped;
  return send_to(socket_.get(), *address_of(path_), {}, memory.get()) >= 0 ? Sent::kYes : Sent::kDropped;
}

}  // namespace common
