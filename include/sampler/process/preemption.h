#pragma once

#include <chrono>
#include <functional>
#include <unordered_map>

#include "sampler/process/cpu_thread.h"
#include "sampler/process/scheduling.h"
#include "sampler/process/thread_watch.h"

namespace sampler {

/// What came of the way to a thread's CPU.
enum class Arrival {
  there,      ///< we ran where the thread would
  moved,      ///< the thread had been moved to another CPU by then
  ended,      ///< the thread has ended
  not_ours,   ///< we may not use its CPU (affinity, cpuset)
  realtime,   ///< the thread, or another on its CPU, is a realtime one: we would not get the CPU, or did not
  uncounted,  ///< this kernel does not count turns: nothing can be proven
};

/// What came of a visit to a thread's CPU.
struct Visit {
  Arrival arrival = Arrival::there;
  bool stood_still = false;  ///< the thread executed nothing while we read: proven
  /// When we had the CPU; a wait for it was the thread's own time.
  std::chrono::steady_clock::time_point since{}, until{};
};

/// Holds threads still without ptrace: a thread of ours runs on a thread's CPU, so that one cannot. Of ours
/// there is one for each CPU that was visited; who calls waits for it, so that no two of ours run at a time.
class Preemptor {
 public:
  Preemptor();

  /// Reads while a thread cannot run: on its CPU, which is where `watch.place()` has just said. Nothing is
  /// read where we do not get there. Throws what `reading` throws.
  ///
  /// The proof. We belong to the CPU c and run. While we do, a thread that belongs to c does not. So at two
  /// moments, before the reading and after it, at which the kernel says that the thread belongs to c, it was
  /// not running. Had it run in between, here while we were preempted or elsewhere after it was moved, it
  /// would have been given a CPU and have lost it again, both between these moments. The kernel adds to a
  /// thread's CPU time whenever it loses its CPU, and counts the times that it is given one (but for a thread
  /// that was preempted on its way to sleep, since Linux 5.14: that is why the CPU time is looked at too).
  /// Both numbers are read outside of the two moments, before the first and after the second. They are equal:
  /// it did not run. That holds for a thread that runs, that waits for its turn on c, and that is blocked. A
  /// thread that was moved, by the kernel that found an idle CPU for it, only fails the proof.
  [[nodiscard]] Visit visit(const ThreadWatch& watch, const ThreadPlace& place,
                            const std::function<void()>& reading);

 private:
  /// Whether the affinity mask of whoever made us had this CPU.
  [[nodiscard]] bool may_use(int cpu) const noexcept;

  CpuSet own_{};
  std::unordered_map<int, CpuThread> threads_;  // by CPU
};

}  // namespace sampler
