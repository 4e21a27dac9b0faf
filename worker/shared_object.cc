// A shared object as a file: its kind, its ELF header, its length.
#include "worker/shared_object.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

#include "common/unique_fd.h"

namespace worker {
namespace {

#if defined(__x86_64__)
constexpr unsigned kMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr unsigned kMachine = EM_AARCH64;
#elif defined(__riscv)
constexpr unsigned kMachine = EM_RISCV;
#else
constexpr unsigned kMachine = EM_NONE;  // not checked; the dynamic linker will
#endif

std::string machine_name(unsigned machine) {
  if (machine == EM_X86_64) return "x86-64";
  if (machine == EM_AARCH64) return "aarch64";
  if (machine == EM_RISCV) return "riscv";
  if (machine == EM_386) return "i386";
  if (machine == EM_ARM) return "arm";
  return "machine type " + std::to_string(machine);
}

template <typename T>
bool read_at(int fd, std::uint64_t offset, T& into) {
  return pread(fd, &into, sizeof into, static_cast<off_t>(offset)) == static_cast<ssize_t>(sizeof into);
}

std::unexpected<common::Error> cannot_open(const std::string& path, int errnum) {
  if (errnum == ENOENT) return common::fail("application " + path + ": no such file; check the path", errnum);
  if (errnum == EACCES) {
    return common::fail("application " + path +
                            ": not readable by this user; check its mode, its owner and the "
                            "directories above it",
                        errnum);
  }
  return common::fail("application " + path + ": cannot be opened: " + common::errno_text(errnum), errnum);
}

bool is_cut_off(int fd, const ElfW(Ehdr) & header, std::uint64_t file_size) {
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    ElfW(Phdr) segment = {};
    if (!read_at(fd, header.e_phoff + std::uint64_t{i} * sizeof segment, segment)) return true;
    if (segment.p_type == PT_LOAD && segment.p_offset + segment.p_filesz > file_size) return true;
  }
  return false;
}

common::Result<void> examine_elf(const std::string& path, int fd, std::uint64_t file_size) {
  ElfW(Ehdr) header = {};
  const bool whole = read_at(fd, 0, header);
  if (file_size < SELFMAG || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) {
    return common::fail("application " + path +
                        ": not a shared object (no ELF header); give the .so that "
                        "supervisor_add_app or g++ -shared -fPIC built");
  }
  if (!whole) return common::fail("application " + path + ": the file is cut off; copy or build it again");
  const unsigned own_class = sizeof(void*) == 8 ? ELFCLASS64 : ELFCLASS32;
  if (header.e_ident[EI_CLASS] != own_class || (kMachine != EM_NONE && header.e_machine != kMachine)) {
    return common::fail("application " + path + ": built for " + machine_name(header.e_machine) +
                        ", but this supervisor runs on " + machine_name(kMachine) + "; build it for this machine");
  }
  if (header.e_type != ET_DYN) {
    return common::fail("application " + path + ": an ELF file, but not a shared object; link it with -shared");
  }
  if (is_cut_off(fd, header, file_size)) {
    return common::fail("application " + path + ": the file is cut off; copy or build it again");
  }
  return {};
}

}  // namespace

common::Result<void> examine_shared_object(const std::string& path) {
  // O_NONBLOCK: a fifo of that name must not stop us.
  const common::UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return cannot_open(path, errno);
  struct stat status = {};
  if (fstat(fd.get(), &status) != 0) return cannot_open(path, errno);
  if (S_ISDIR(status.st_mode)) {
    return common::fail("application " + path + ": is a directory; give the path of the .so inside it", EISDIR);
  }
  if (!S_ISREG(status.st_mode)) return common::fail("application " + path + ": not a regular file; give a .so file");
  return examine_elf(path, fd.get(), static_cast<std::uint64_t>(status.st_size));
}

}  // namespace worker
