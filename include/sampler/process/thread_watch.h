#pragma once

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

/// What the kernel says of one thread, through files that stay open: 0.3 to 3 us a question.
class ThreadWatch {
 public:
  ThreadWatch(Pid pid, Tid tid);

  /// 'R' running or ready to run, 'S', 'D', 'T', 't', ...; nothing once the thread has ended.
  [[nodiscard]] std::optional<char> state() const;
  /// The CPU it runs on or ran on last.
  [[nodiscard]] std::optional<int> last_cpu() const;
  /// How often the thread was given a CPU (third number of schedstat); nothing where the kernel does not
  /// count it.
  [[nodiscard]] std::optional<std::uint64_t> times_switched_in() const;
  /// The call it is blocked in, if it is.
  [[nodiscard]] std::optional<BlockedCall> blocked_call() const;

 private:
  UniqueFd stat_;
  UniqueFd schedstat_;
  UniqueFd syscall_;
};

}  // namespace sampler
