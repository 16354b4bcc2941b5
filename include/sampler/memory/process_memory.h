#pragma once

#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "sampler/base/ids.h"
#include "sampler/base/unique_fd.h"
#include "sampler/memory/remote_memory.h"
#include "sampler/process/process.h"

namespace sampler {

/// Bytes of the target and where they go.
struct RemoteRange {
  RemoteAddress from;
  std::span<std::byte> into;
};

/// The memory of a living process by process_vm_readv(2): no stop, no write. Where a seccomp filter refuses
/// that call to us, by /proc/PID/mem, which is a call for each range.
class ProcessMemory final : public RemoteMemory {
 public:
  /// Throws Error{permission} or Error{no_process} where we may not read it.
  explicit ProcessMemory(const Process& process);

  Result<void, ReadError> read(RemoteAddress from, std::span<std::byte> into) noexcept override;

  /// Reads all ranges in their order with as few calls as there can be (1,024 ranges each). Ranges that
  /// cannot be read whole are reported by index in `unread`, which is cleared first; the others are filled.
  void read_batch(std::span<const RemoteRange> ranges, std::vector<std::uint32_t>& unread) const noexcept;

  /// False once the process runs another program (exec) or has ended: the address space this was made for is
  /// gone.
  [[nodiscard]] bool is_same_program() const noexcept;

 private:
  /// process_vm_readv(2) of the address space, by a thread that lives.
  [[nodiscard]] ssize_t read_vectors(std::span<const iovec> local,
                                     std::span<const iovec> remote) const noexcept;
  /// Asks for memory by another thread from now on; false where there is none.
  [[nodiscard]] bool ask_another() const noexcept;
  [[nodiscard]] Result<void, ReadError> read_file(RemoteAddress from,
                                                  std::span<std::byte> into) const noexcept;
  [[nodiscard]] bool has_users() const noexcept;

  Pid pid_;
  mutable Tid asked_;  // any thread has the address space for as long as it lives
  bool reads_file_ = false;
  UniqueFd file_;  // maps, or mem where that is read: both stay with the address space they were opened for
};

}  // namespace sampler
