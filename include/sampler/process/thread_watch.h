#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string_view>

#include "sampler/base/ids.h"
#include "sampler/base/unique_fd.h"

namespace sampler {

/// The system call a thread is blocked in.
struct BlockedCall {
  std::int64_t number = -1;
  std::uint64_t first_argument = 0;
};

/// A text of /proc/PID/task/TID/syscall; nothing for "running" and anything else.
[[nodiscard]] std::optional<BlockedCall> parse_blocked_call(std::string_view text);

/// What a thread has had of the CPUs. Both numbers stand still while it is blocked.
struct Turns {
  std::uint64_t cpu_nanoseconds = 0;
  std::uint64_t times = 0;  ///< how often it was given a CPU

  friend auto operator<=>(const Turns&, const Turns&) = default;
};

/// What the kernel says of one thread, through files that stay open: 0.3 to 3 us a question.
class ThreadWatch {
 public:
  ThreadWatch(Pid pid, Tid tid);

  /// 'R' running or ready to run, 'S', 'D', 'T', 't', ...; nothing once the thread has ended.
  [[nodiscard]] std::optional<char> state() const;
  /// The CPU it runs on or ran on last.
  [[nodiscard]] std::optional<int> last_cpu() const;
  /// Its turns so far (schedstat); nothing where the kernel does not count them.
  [[nodiscard]] std::optional<Turns> turns() const;
  /// The call it is blocked in, if it is.
  [[nodiscard]] std::optional<BlockedCall> blocked_call() const;

 private:
  UniqueFd stat_;
  UniqueFd schedstat_;
  UniqueFd syscall_;
};

}  // namespace sampler
