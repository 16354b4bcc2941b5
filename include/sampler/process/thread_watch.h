#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string_view>

#include "sampler/base/ids.h"
#include "sampler/base/remote_address.h"
#include "sampler/base/unique_fd.h"

namespace sampler {

/// The system call a thread is blocked in.
struct BlockedCall {
  std::int64_t number = -1;
  std::uint64_t first_argument = 0;
};

/// A text of /proc/PID/task/TID/syscall; nothing for "running" and anything else.
[[nodiscard]] std::optional<BlockedCall> parse_blocked_call(std::string_view text);

/// The stack pointer in a text of /proc/PID/task/TID/syscall; nothing for "running".
[[nodiscard]] std::optional<RemoteAddress> parse_stack_pointer(std::string_view text);

/// How often a thread has lost its CPU, in a text of /proc/PID/task/TID/status; nothing where it does not
/// tell.
[[nodiscard]] std::optional<std::uint64_t> parse_departures(std::string_view text);

/// What a thread has had of the CPUs. Both numbers stand still while it is blocked.
struct Turns {
  std::uint64_t cpu_nanoseconds = 0;
  std::uint64_t times = 0;  ///< how often it was given a CPU

  friend auto operator<=>(const Turns&, const Turns&) = default;
};

/// What a thread does and where, at one moment.
struct ThreadPlace {
  char state = '?';          ///< 'R' running or ready to run, 'S', 'D', 'T', 't', ...
  int cpu = 0;               ///< where it runs, waits for its turn, or ran last
  bool is_realtime = false;  ///< it goes before every thread of ordinary priority

  friend bool operator==(const ThreadPlace&, const ThreadPlace&) = default;
};

/// The place in a text of /proc/PID/task/TID/stat; nothing where it is not in the kernel's form.
[[nodiscard]] std::optional<ThreadPlace> parse_place(std::string_view text);

/// What the kernel says of one thread, through files that stay open: 0.3 to 3 us a question.
class ThreadWatch {
 public:
  ThreadWatch(Pid pid, Tid tid);

  /// Whether nothing can be said of the thread because we may have no more files open.
  [[nodiscard]] bool lacks_files() const noexcept { return lacks_files_; }
  /// Its state and its CPU, of one moment; nothing once the thread has ended.
  [[nodiscard]] std::optional<ThreadPlace> place() const;
  /// Its turns so far (schedstat); nothing where the kernel does not count them.
  [[nodiscard]] std::optional<Turns> turns() const;
  /// Whether the calls it is blocked in are closed to us, and with them its stack pointer: that takes more
  /// than the right to trace it, to be its user or to read every file (CAP_DAC_READ_SEARCH).
  [[nodiscard]] bool hides_calls() const noexcept { return !syscall_ && !lacks_files_; }
  /// How often it has lost its CPU so far (status, 15 us): each time counts, which is not so of Turns::times.
  [[nodiscard]] std::optional<std::uint64_t> departures();
  /// The call it is blocked in, if it is.
  [[nodiscard]] std::optional<BlockedCall> blocked_call() const;
  /// Whether it is on a CPU, whatever its state says: a thread that is about to sleep may go on without
  /// having slept. True where the kernel does not tell.
  [[nodiscard]] bool is_on_cpu() const;
  /// Its stack pointer, where it stands still: blocked or held.
  [[nodiscard]] std::optional<RemoteAddress> stack_pointer() const;

 private:
  /// Whether it is on a CPU, by how often it was given one and has lost it.
  [[nodiscard]] bool has_turn() const;
  /// Its stack pointer by its registers, while we hold it by ptrace.
  [[nodiscard]] std::optional<RemoteAddress> held_stack_pointer() const;

  Pid pid_;
  Tid tid_;
  bool lacks_files_ = false;
  UniqueFd stat_;
  UniqueFd schedstat_;
  UniqueFd syscall_;
  UniqueFd status_;                       // from the first question on, or where syscall_ is closed to us
  mutable std::int64_t least_ahead_ = 0;  // of its arrivals before its departures
};

}  // namespace sampler
