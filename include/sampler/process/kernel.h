#pragma once

#include <string>

namespace sampler {

/// What this kernel, and a seccomp filter if we are under one, let us do at all; each call was tried. The
/// numbers are errno, 0 where it works.
struct KernelSupport {
  std::string release;        ///< "6.1.0-13-amd64"
  std::string machine;        ///< "x86_64"
  bool has_own_proc = false;  ///< /proc is there and of our PID namespace
  int read_memory = 0;        ///< process_vm_readv(2)
  int trace = 0;              ///< ptrace(2)
  int pidfd = 0;              ///< pidfd_open(2)
  bool counts_turns = false;  ///< schedstat tells how often a thread had a CPU
};

/// Tries it on ourselves and on nobody; no other process notices.
[[nodiscard]] KernelSupport kernel_support();

}  // namespace sampler
