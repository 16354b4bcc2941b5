#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sampler/base/ids.h"
#include "sampler/process/thread_numbers.h"

namespace sampler {

/// The capabilities that matter to us, by their numbers in linux/capability.h.
enum class Capability : unsigned { sys_ptrace = 19, sys_admin = 21, sys_nice = 23, checkpoint_restore = 40 };

/// What /proc/PID/status tells of who a process is and what it may do.
struct ProcessStatus {
  Pid process{};                  ///< another than the number asked for where that is a thread's
  std::array<uid_t, 3> users{};   ///< real, effective, saved
  std::array<gid_t, 3> groups{};  ///< real, effective, saved
  std::optional<NamespaceNumbers> numbers;
  int threads = 0;
  std::uint64_t permitted = 0;  ///< a bit for each capability
  std::uint64_t effective = 0;  ///< a bit for each capability
  int seccomp = 0;              ///< 0: none, 1: strict, 2: a filter

  [[nodiscard]] bool has(Capability capability) const noexcept {
    return ((effective >> static_cast<unsigned>(capability)) & 1U) != 0;
  }
};

/// A status text; what it does not tell is 0.
[[nodiscard]] ProcessStatus parse_status(std::string_view text);

/// The status of a process, a thread or "self"; nothing once it is gone.
[[nodiscard]] std::optional<ProcessStatus> read_status(const std::string& pid);

}  // namespace sampler
