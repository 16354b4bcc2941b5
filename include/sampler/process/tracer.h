#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "sampler/base/ids.h"

namespace sampler {

/// One thread does not run for as long as this lives. Its end lets the thread go, and hands on the signal
/// whose delivery the stop turned out to be.
class [[nodiscard]] HeldThread {
 public:
  HeldThread(Tid tid, int signal) noexcept : tid_{tid}, signal_{signal} {}
  HeldThread(HeldThread&& other) noexcept : tid_{std::exchange(other.tid_, Tid{})}, signal_{other.signal_} {}
  HeldThread& operator=(HeldThread&&) = delete;
  HeldThread(const HeldThread&) = delete;
  HeldThread& operator=(const HeldThread&) = delete;
  ~HeldThread();

  /// The stop made the system call that the thread was in return EINTR to the program.
  [[nodiscard]] bool cut_short_a_call() const noexcept;

 private:
  Tid tid_;  // Tid{} once moved from
  int signal_;
};

/// A thread is seized and will stop before it executes another user instruction, but has not yet.
struct StopPending {};
/// The thread cannot be seized: errno. ESRCH: it has ended; EPERM: not allowed, or another tracer has it.
struct StopRefused {
  int code = 0;
};
using StopAttempt = std::variant<HeldThread, StopPending, StopRefused>;

/// Something that waitpid reported.
struct WaitEvent {
  Tid tid{};
  std::optional<HeldThread> held;  ///< of a thread whose stop came late
  int exit_status = 0;             ///< where not held: the thread or child has ended with this status
};

/// Holds threads still by PTRACE_SEIZE, PTRACE_INTERRUPT and PTRACE_DETACH, one at a time and never for
/// longer than a HeldThread lives. All calls from one thread: the kernel knows a tracer by it.
class Tracer {
 public:
  /// How long to spin for a stop before it counts as pending: a blocking wait doubles the pause.
  static constexpr std::chrono::microseconds spin_limit{50};

  Tracer() = default;
  Tracer(const Tracer&) = delete;
  Tracer& operator=(const Tracer&) = delete;
  /// Waits at most 100 ms for stops that are still pending; the kernel detaches the rest when we end.
  ~Tracer();

  /// Asks one thread to stop and spins for at most `spin` until it does: for nothing where the thread shares
  /// our CPU, because it cannot stop while we run. Where the stop is pending, collect() reports it when it
  /// comes.
  StopAttempt hold(Tid tid, std::chrono::microseconds spin = spin_limit);
  /// Whether hold() of this thread is still pending.
  [[nodiscard]] bool is_pending(Tid tid) const noexcept;
  /// Forgets pending stops that will not come: of threads that are no longer ours, as after an exec by
  /// another thread.
  void forget_lost();
  [[nodiscard]] bool has_pending() const noexcept { return !pending_.empty(); }

  /// All that waitpid reports now, without waiting: late stops, ended threads, ended children. A stop nobody
  /// asked for is let go at once.
  [[nodiscard]] std::vector<WaitEvent> collect();

 private:
  std::vector<Tid> pending_;
  std::vector<WaitEvent> ended_;  ///< ends that hold() was told of, kept for collect()
};

}  // namespace sampler
