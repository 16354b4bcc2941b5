#pragma once

#include <string>
#include <string_view>

namespace sampler {

/// A system call that is refused, and its errno; 0 where all are let through.
struct RefusedCall {
  std::string_view name;
  int code = 0;
};

/// What this kernel, and a seccomp filter if we are under one, let us do at all; each call was tried. The
/// numbers are errno, 0 where it works.
struct KernelSupport {
  std::string release;        ///< "6.1.0-13-amd64"
  std::string machine;        ///< "x86_64"
  bool has_own_proc = false;  ///< /proc is there and of our PID namespace
  int read_memory = 0;        ///< process_vm_readv(2)
  int memory_file = 0;        ///< /proc/PID/mem, for where that is refused
  RefusedCall stop;           ///< what stops threads
  int pidfd = 0;              ///< pidfd_open(2)
  bool counts_turns = false;  ///< schedstat tells how often a thread had a CPU
};

/// Whether process_vm_readv(2) is let through, asked of ourselves: errno, 0 where it is.
[[nodiscard]] int try_read_memory() noexcept;

/// The first of the calls that stop and release a thread (ptrace(2) and a timer) that is not let through.
[[nodiscard]] RefusedCall try_stop() noexcept;

/// Tries it on ourselves and on nobody; no other process notices.
[[nodiscard]] KernelSupport kernel_support();

}  // namespace sampler
