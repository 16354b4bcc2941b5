#include "sampler/memory/process_memory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "sampler/base/error.h"
#include "sampler/base/file.h"
#include "sampler/process/rights.h"

namespace sampler {
namespace {

constexpr std::size_t most_ranges_per_call = 1024;  // IOV_MAX

void* as_pointer(RemoteAddress address) {
  return reinterpret_cast<void*>(address.value);  // NOLINT: iovec wants a pointer; it is never followed here
}

UniqueFd open_memory(const Process& process) {
  auto mem = open_file(process.proc_path("mem"), O_RDONLY);
  if (mem) return std::move(*mem);
  const auto pid = number(process.pid());
  if (mem.error() == EACCES || mem.error() == EPERM) {
    throw Error{ErrorKind::permission,
                fmt::format("cannot trace process {}: {}", pid, errno_text(mem.error())),
                trace_hint(own_rights()) + "; see docs/ptrace-and-permissions.md"};
  }
  throw Error{ErrorKind::no_process,
              fmt::format("cannot open the memory of process {}: {}", pid, errno_text(mem.error())),
              "it may have ended"};
}

}  // namespace

ProcessMemory::ProcessMemory(const Process& process)
    : pid_{number(process.pid())}, mem_{open_memory(process)} {}

Result<void, ReadError> ProcessMemory::read(RemoteAddress from, std::span<std::byte> into) noexcept {
  const iovec local{into.data(), into.size()};
  const iovec remote{as_pointer(from), into.size()};
  const auto got = ::process_vm_readv(pid_, &local, 1, &remote, 1, 0);
  if (got == static_cast<ssize_t>(into.size())) return {};
  return Failure{ReadError{from, static_cast<std::uint32_t>(into.size()), got < 0 ? errno : EFAULT}};
}

void ProcessMemory::read_batch(std::span<const RemoteRange> ranges,
                               std::vector<std::uint32_t>& unread) const noexcept {
  std::array<iovec, most_ranges_per_call> local;
  std::array<iovec, most_ranges_per_call> remote;
  unread.clear();
  std::size_t next = 0;
  while (next < ranges.size()) {
    const auto count = std::min(ranges.size() - next, most_ranges_per_call);
    for (std::size_t i = 0; i < count; ++i) {
      const auto& range = ranges[next + i];
      local[i] = {range.into.data(), range.into.size()};
      remote[i] = {as_pointer(range.from), range.into.size()};
    }
    const auto got = ::process_vm_readv(pid_, local.data(), count, remote.data(), count, 0);
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

bool ProcessMemory::is_same_program() const noexcept {
  // Of an address space without users every read is an end of file; address 0 of a living one is EIO.
  char byte = 0;
  return ::pread(mem_.get(), &byte, 1, 0) != 0;
}

}  // namespace sampler
