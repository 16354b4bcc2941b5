#include "sampler/memory/process_memory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "sampler/base/error.h"
#include "sampler/base/file.h"
#include "sampler/base/log.h"
#include "sampler/process/kernel.h"
#include "sampler/process/rights.h"

namespace sampler {
namespace {

constexpr std::size_t most_ranges_per_call = 1024;  // IOV_MAX

bool is_there(Pid pid, Tid tid) noexcept {
  std::array<char, 48> path{};
  fmt::format_to_n(path.data(), path.size() - 1, "/proc/{}/task/{}", number(pid), number(tid));
  return ::access(path.data(), F_OK) == 0;
}

void* as_pointer(RemoteAddress address) {
  return reinterpret_cast<void*>(address.value);  // NOLINT: iovec wants a pointer; it is never followed here
}

/// Why process_vm_readv does not read a process's memory: errno, 0 where it does.
int refusal_of(pid_t pid) noexcept {
  char byte = 0;
  const iovec local{&byte, 1};
  const iovec nowhere{nullptr, 1};  // the right is asked for before the address is looked at
  const bool is_allowed = ::process_vm_readv(pid, &local, 1, &nowhere, 1, 0) >= 0 || errno == EFAULT;
  return is_allowed ? 0 : errno;
}

bool is_of_rights(int code) noexcept {
  return code == EACCES || code == EPERM;
}

Error gone(const Process& process, int code) {
  return Error{
      ErrorKind::no_process,
      fmt::format("cannot open the memory of process {}: {}", number(process.pid()), errno_text(code)),
      "it may have ended"};
}

Error not_allowed(const Process& process, int code) {
  return Error{ErrorKind::permission,
               fmt::format("cannot trace process {}: {}", number(process.pid()), errno_text(code)),
               trace_hint(own_rights()) + "; see docs/ptrace-and-permissions.md"};
}

/// Its maps need the right to trace it and no other: mem, auxv and the like are its user's to read besides.
UniqueFd open_maps(const Process& process) {
  auto maps = open_file(process.proc_path("maps"), O_RDONLY);
  if (maps) return std::move(*maps);
  throw is_of_rights(maps.error()) ? not_allowed(process, maps.error()) : gone(process, maps.error());
}

/// For where process_vm_readv is refused to us, whomever it is to read.
UniqueFd open_mem(const Process& process, int call_refusal) {
  auto mem = open_file(process.proc_path("mem"), O_RDONLY);
  if (mem) return std::move(*mem);
  if (!is_of_rights(mem.error())) throw gone(process, mem.error());
  const auto rights = own_rights();
  throw Error{
      ErrorKind::permission,
      fmt::format("cannot read the memory of process {}: process_vm_readv is refused to sampler ({}), "
                  "and /proc/{}/mem does not open ({})",
                  number(process.pid()), errno_text(call_refusal), number(process.pid()),
                  errno_text(mem.error())),
      rights.may_trace_all() ? refused_call_hint(rights) : trace_hint(rights)};
}

}  // namespace

ProcessMemory::ProcessMemory(const Process& process)
    : pid_{process.pid()}, asked_{living_thread(process.pid()).value_or(Tid{number(process.pid())})} {
  const int refusal = refusal_of(number(asked_));
  if (refusal == ESRCH) throw gone(process, refusal);
  const int call_refusal = refusal == 0 ? 0 : try_read_memory();
  if (refusal != 0 && call_refusal == 0) throw not_allowed(process, refusal);
  reads_file_ = call_refusal != 0;
  file_ = reads_file_ ? open_mem(process, call_refusal) : open_maps(process);
  if (reads_file_) {
    log(LogLayer::memory, LogLevel::info,
        fmt::format("process_vm_readv is refused: {}; /proc/{}/mem is read instead", errno_text(call_refusal),
                    number(pid_)));
  }
}

Result<void, ReadError> ProcessMemory::read(RemoteAddress from, std::span<std::byte> into) noexcept {
  if (reads_file_) return read_file(from, into);
  const iovec local{into.data(), into.size()};
  const iovec remote{as_pointer(from), into.size()};
  const auto got = read_vectors({&local, 1}, {&remote, 1});
  if (got == static_cast<ssize_t>(into.size())) return {};
  return Failure{ReadError{from, static_cast<std::uint32_t>(into.size()), got < 0 ? errno : EFAULT}};
}

Result<void, ReadError> ProcessMemory::read_file(RemoteAddress from,
                                                 std::span<std::byte> into) const noexcept {
  const auto got = ::pread(file_.get(), into.data(), into.size(), static_cast<off_t>(from.value));
  if (got == static_cast<ssize_t>(into.size())) return {};
  return Failure{ReadError{from, static_cast<std::uint32_t>(into.size()), got < 0 ? errno : EFAULT}};
}

void ProcessMemory::read_batch(std::span<const RemoteRange> ranges,
                               std::vector<std::uint32_t>& unread) const noexcept {
  unread.clear();
  if (reads_file_) {
    for (std::size_t i = 0; i < ranges.size(); ++i) {
      if (!read_file(ranges[i].from, ranges[i].into)) unread.push_back(static_cast<std::uint32_t>(i));
    }
    return;
  }
  std::array<iovec, most_ranges_per_call> local;
  std::array<iovec, most_ranges_per_call> remote;
  std::size_t next = 0;
  while (next < ranges.size()) {
    const auto count = std::min(ranges.size() - next, most_ranges_per_call);
    for (std::size_t i = 0; i < count; ++i) {
      const auto& range = ranges[next + i];
      local[i] = {range.into.data(), range.into.size()};
      remote[i] = {as_pointer(range.from), range.into.size()};
    }
    const auto got = read_vectors(std::span{local}.first(count), std::span{remote}.first(count));
    if (got < 0 && errno == ESRCH) {  // it has ended: nothing that is left can be read
      while (next < ranges.size()) unread.push_back(static_cast<std::uint32_t>(next++));
      return;
    }
    // The kernel stops at the first address it cannot read: skip that range and go on behind it.
    auto left = got > 0 ? static_cast<std::size_t>(got) : 0;
    std::size_t whole = 0;
    while (whole < count && ranges[next + whole].into.size() <= left)
      left -= ranges[next + whole++].into.size();
    next += whole;
    if (whole < count) unread.push_back(static_cast<std::uint32_t>(next++));
  }
}

ssize_t ProcessMemory::read_vectors(std::span<const iovec> local,
                                    std::span<const iovec> remote) const noexcept {
  const auto read = [&] {
    return ::process_vm_readv(number(asked_), local.data(), local.size(), remote.data(), remote.size(), 0);
  };
  const auto got = read();
  if (got >= 0 || errno != ESRCH) return got;
  const bool asks_another = has_users() && ask_another();
  errno = ESRCH;
  return asks_another ? read() : got;
}

bool ProcessMemory::ask_another() const noexcept {
  const auto living = living_thread(pid_);
  return living && std::exchange(asked_, *living) != *living;
}

bool ProcessMemory::has_users() const noexcept {
  // Of an address space without users every read is an end of file, and maps are ESRCH without the process.
  // Of one that lives maps have a first byte, and mem is EIO at address 0.
  char byte = 0;
  const auto got = ::pread(file_.get(), &byte, 1, 0);
  return got > 0 || (got < 0 && errno == EIO);
}

bool ProcessMemory::is_same_program() const noexcept {
  if (!has_users()) return false;
  // A pidfd guards the number of the process only: that of a thread may be another's by now.
  if (number(asked_) == number(pid_) || is_there(pid_, asked_)) return true;
  static_cast<void>(ask_another());
  return false;
}

}  // namespace sampler
