#pragma once

#include <unistd.h>

#include <chrono>
#include <functional>
#include <optional>
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

/// Holds threads still without ptrace: a thread of ours, the visitor, runs on a thread's CPU, so that one
/// cannot. There is one for each CPU that was visited, asleep but for the visits; who calls waits for it.
class Preemptor {
 public:
  explicit Preemptor(Priority priority = Priority::high);

  /// Whether a visit to this CPU comes there at once, whoever runs there: its visitor has realtime priority.
  [[nodiscard]] bool is_prompt_on(int cpu);
  /// Reads while a thread cannot run, which is where `watch.place()` has just said. Nothing is read where we
  /// do not get there. The reading is done by who calls, on another CPU, while the visitor does nothing: the
  /// caches there are warm, and the thread loses 7 to 20 us less. Where both have the same CPU, or the
  /// visitor is late, the visitor reads; so it does, again, after a reading that took too long for it to
  /// stay, and for a second after that. Throws what `reading` throws.
  ///
  /// The proof. The visitor belongs to the CPU c and runs. Where it does not read itself it runs all the
  /// time: it was on c when it saw the end of the reading, and its own number of turns is what it was before.
  /// While it does, a thread that belongs to c does not. So at two moments, before the reading and after it,
  /// at which the kernel says that the thread belongs to c, it was not running. Had it run in between, here
  /// while the visitor was preempted or elsewhere after it was moved, it would have been given a CPU and have
  /// lost it again, both between these moments. The kernel adds to a thread's CPU time whenever it loses its
  /// CPU, and counts the times that it is given one (but for a thread that was preempted on its way to sleep,
  /// since Linux 5.14: that is why the CPU time is looked at too). Both numbers are read outside of the two
  /// moments, before the first and after the second. They are equal: it did not run. That holds for a thread
  /// that runs, that waits for its turn on c, and that is blocked. A thread that was moved, by the kernel
  /// that found an idle CPU for it, only fails the proof.
  [[nodiscard]] Visit visit(const ThreadWatch& watch, const ThreadPlace& place,
                            const std::function<void()>& reading);

 private:
  struct Visitor {
    Visitor(int cpu, Priority priority) : thread{cpu, priority}, watch{Pid{::getpid()}, thread.tid()} {}
    CpuThread thread;
    ThreadWatch watch;
    std::chrono::steady_clock::time_point reads_until{};  ///< by itself
  };

  /// Whether the affinity mask of whoever made us had this CPU.
  [[nodiscard]] bool may_use(int cpu) const noexcept;
  /// The visitor of a CPU; null where there can be none.
  [[nodiscard]] Visitor* visitor_of(int cpu);
  /// One visit. Nothing where the reading took so long that the visitor has left before its end: it is to
  /// read by itself.
  [[nodiscard]] static std::optional<Visit> call(Visitor& visitor, int cpu, bool may_read_here,
                                                 const ThreadWatch& watch,
                                                 const std::function<void()>& reading);

  Priority priority_;
  CpuSet own_{};
  std::unordered_map<int, Visitor> visitors_;  // by CPU
};

}  // namespace sampler
