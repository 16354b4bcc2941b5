#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <utility>
#include <variant>
#include <vector>

#include "sampler/base/ids.h"

namespace sampler {

class Tracer;

/// One thread does not run for as long as this lives. Its end lets the thread go, and hands on the signal
/// whose delivery the stop turned out to be.
class [[nodiscard]] HeldThread {
 public:
  HeldThread(Tracer& tracer, Tid tid, int signal) noexcept : tracer_{tracer}, tid_{tid}, signal_{signal} {}
  HeldThread(HeldThread&& other) noexcept
      : tracer_{other.tracer_}, tid_{std::exchange(other.tid_, Tid{})}, signal_{other.signal_} {}
  HeldThread& operator=(HeldThread&&) = delete;
  HeldThread(const HeldThread&) = delete;
  HeldThread& operator=(const HeldThread&) = delete;
  ~HeldThread();

  /// The stop made the system call that the thread was in return EINTR to the program.
  [[nodiscard]] bool cut_short_a_call() const noexcept;

 private:
  Tracer& tracer_;
  Tid tid_;  // Tid{} once moved from
  int signal_;
};

/// A thread is seized and will stop before it executes another user instruction, but has not yet.
struct StopPending {};
/// Why a thread cannot be seized.
enum class Refusal {
  ended,      ///< there is no such thread any more
  traced,     ///< another tracer has it
  forbidden,  ///< neither: the kernel does not let us, or hides the tracer (of an outer PID namespace)
};
/// The thread cannot be seized.
struct StopRefused {
  Refusal why = Refusal::ended;
};
using StopAttempt = std::variant<HeldThread, StopPending, StopRefused>;

/// What waitpid reported of a thread or child, with its status.
struct ThreadReport {
  Tid tid{};
  int status = 0;
};

/// What such a report means.
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
  /// The same for several threads at once: all are asked before the first is waited for, so that they stand
  /// still together. One attempt for each, in their order.
  [[nodiscard]] std::vector<StopAttempt> hold_all(std::span<const Tid> tids,
                                                  std::chrono::microseconds spin = spin_limit);
  /// Whether hold() of this thread is still pending.
  [[nodiscard]] bool is_pending(Tid tid) const noexcept;
  /// Forgets pending stops that will not come: of threads that are no longer ours, as after an exec by
  /// another thread.
  void forget_lost();
  [[nodiscard]] bool has_pending() const noexcept { return !pending_.empty() || !dying_.empty(); }
  /// A thread was killed while it was held: until collect() is told of its end, an exec that killed it waits.
  void expect_end(Tid tid) { dying_.push_back(tid); }

  /// All that waitpid reports now, without waiting: late stops, ended threads, ended children. A stop nobody
  /// asked for is let go at once.
  [[nodiscard]] std::vector<WaitEvent> collect();

 private:
  [[nodiscard]] static StopAttempt interrupt(Tid tid);
  /// Asks all to stop; never waits for an exec that waits for a thread of ours.
  void interrupt_all(std::span<const Tid> tids, std::vector<StopAttempt>& attempts);
  /// Whether the thread has stopped or ended by now: then `attempt` says so.
  [[nodiscard]] bool look_for_stop(Tid tid, StopAttempt& attempt);
  /// Decides an attempt that was pending.
  void decide(const ThreadReport& report, StopAttempt& attempt);
  void take(const ThreadReport& report, std::vector<WaitEvent>& events);

  std::vector<Tid> pending_;
  std::vector<Tid> dying_;          ///< killed while they were held
  std::vector<ThreadReport> kept_;  ///< what hold() was told and collect() is to hand out
};

}  // namespace sampler
