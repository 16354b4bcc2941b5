#pragma once

#include <sched.h>

#include <array>
#include <chrono>
#include <optional>

#include "sampler/process/thread_watch.h"

namespace sampler {

/// A set of CPUs; 8,192 are the most that a kernel for x86-64 is built for.
using CpuSet = std::array<cpu_set_t, 8>;

/// What came of the way to a thread's CPU.
enum class Arrival {
  there,      ///< we run where the thread would
  moved,      ///< the thread had been moved to another CPU by then
  ended,      ///< the thread has ended
  not_ours,   ///< we may not use its CPU (affinity, cpuset)
  realtime,   ///< the thread is a realtime one: we would not get its CPU
  uncounted,  ///< this kernel does not count turns: nothing can be proven
};

/// Holds threads still without ptrace: we run on a thread's CPU, so it cannot. What that needs of ourselves
/// is asked for once. All calls from one thread: they are about the calling one.
///
/// Realtime priority is for the visits only. Kept, it would leave us on the thread's CPU for whatever we do
/// next, because a realtime thread is not moved to an idle CPU, and at full speed it would leave the others
/// of its CPU nothing (docs/adr/0003-preempt-and-prove.md).
class Preemptor {
 public:
  Preemptor();

  /// Whether our affinity mask, as it was at first, has this CPU.
  [[nodiscard]] bool may_use(int cpu) const noexcept;
  /// Whether a visit runs at realtime priority (CAP_SYS_NICE), and has the CPU at once. Without it our short
  /// time slice mostly does the same; before Linux 6.12 a busy CPU is waited for, up to 4 ms.
  [[nodiscard]] bool is_realtime() const noexcept { return is_realtime_; }

 private:
  friend class Preemption;

  /// Moves us; false where the CPU cannot be used.
  [[nodiscard]] bool go_to(int cpu) const noexcept;
  void go_back(int home) const noexcept;
  void raise_priority() const noexcept;
  void lower_priority() const noexcept;

  CpuSet own_{};
  bool is_single_ = false;  ///< we have one CPU: nothing moves us
  int policy_ = 0;          ///< of ours, outside of visits
  bool is_realtime_ = false;
};

/// A visit to the CPU of a thread, and the proof that the thread did not run in between.
///
/// The proof. We are pinned to the CPU c and run. While we do, a thread that belongs to c does not. So at two
/// moments, before the caller's reading and after it, at which the kernel says that the thread belongs to c,
/// it was not running. Had it run in between, here while we were preempted or elsewhere after it was moved,
/// it would have been given a CPU and have lost it again, both between these moments. The kernel adds to a
/// thread's CPU time whenever it loses its CPU, and counts the times that it is given one (but for a thread
/// that was preempted on its way to sleep, since Linux 5.14: that is why the CPU time is looked at too). Both
/// numbers are read outside of the two moments, before the first and after the second. They are equal: it did
/// not run. That holds for a thread that runs, that waits for its turn on c, and that is blocked. A thread
/// that was moved, by the kernel that found an idle CPU for it, only fails the proof.
///
/// System calls: 2 to go there (priority, affinity), 2 of evidence before (schedstat, stat), 2 after, 3 to go
/// back (affinity twice, priority). Fewer without realtime priority, and with one CPU.
class [[nodiscard]] Preemption {
 public:
  /// Goes to the CPU of a thread, which is where `watch.place()` has just said, and takes the evidence
  /// before.
  Preemption(const Preemptor& preemptor, const ThreadWatch& watch, const ThreadPlace& place);
  Preemption(const Preemption&) = delete;
  Preemption& operator=(const Preemption&) = delete;
  ~Preemption() { leave(); }

  [[nodiscard]] Arrival arrival() const noexcept { return arrival_; }
  /// When we got the CPU, of a visit that is there: a wait for it was the thread's own time.
  [[nodiscard]] std::chrono::steady_clock::time_point since() const noexcept { return since_; }
  /// Takes the evidence after: whether the thread executed nothing since we arrived. Before leave().
  [[nodiscard]] bool stood_still() const;
  /// Goes back to where we came from, which lets the thread run: as soon as possible, before anything else.
  void leave() noexcept;

 private:
  [[nodiscard]] Arrival arrive(const ThreadPlace& place);

  const Preemptor& preemptor_;
  const ThreadWatch& watch_;
  int home_;
  int cpu_;
  bool is_away_ = false;
  std::chrono::steady_clock::time_point since_;
  Turns before_;
  Arrival arrival_;
};

}  // namespace sampler
