#pragma once

#include <optional>
#include <string>

#include "sampler/process/process_status.h"

namespace sampler {

/// What the kernel lets us do to other processes, as far as it tells.
struct Rights {
  ProcessStatus own;
  std::optional<int> yama_scope;           ///< kernel.yama.ptrace_scope; nothing where the kernel has no yama
  bool is_in_first_user_namespace = true;  ///< elsewhere our capabilities count in that namespace only
  bool is_in_first_pid_namespace = true;   ///< elsewhere we see the processes of that namespace only

  [[nodiscard]] bool is_root() const noexcept { return own.users[1] == 0; }
  [[nodiscard]] bool may_trace_all() const noexcept { return own.has(Capability::sys_ptrace); }
};

/// Our own rights as of now.
[[nodiscard]] Rights own_rights();

/// Why a system call is refused whatever it is asked for, and what to do about it; in one line.
[[nodiscard]] std::string refused_call_hint(const Rights& rights);

/// Why the kernel does not let us trace a process though it lets the call through, and what to do about it;
/// in one line.
[[nodiscard]] std::string trace_hint(const Rights& rights);

}  // namespace sampler
