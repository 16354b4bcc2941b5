#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <variant>
#include <vector>

#include "sampler/cpython/frame_walker.h"
#include "sampler/cpython/thread_lister.h"
#include "sampler/model/run.h"
#include "sampler/process/preemption.h"
#include "sampler/process/thread_watch.h"
#include "sampler/process/tracer.h"
#include "sampler/sampler/recording.h"
#include "sampler/sampler/sampled_process.h"
#include "sampler/sampler/sampling_options.h"
#include "sampler/sampler/thread_reader.h"

namespace sampler {

/// The thread has ended: there is nothing to sample.
struct ThreadGone {};

/// What came of a thread: its stack, proven; a stop that is still to come; its end; or why nothing is proven.
using Settled = std::variant<RawStack, StopPending, ThreadGone, TickFailure>;

/// Reads threads that the GIL's words do not prove, and proves what was read: a thread that is blocked by its
/// turns on a CPU, one that waits for ours by our having it, one that runs by holding it still
/// (docs/adr/0001-settling-a-thread.md, docs/adr/0007-who-waits-for-a-cpu.md).
class ThreadSettler {
 public:
  using Clock = std::chrono::steady_clock;

  ThreadSettler(SampledProcess& process, ThreadReader& reader, Hold hold, Tracer& tracer,
                Preemptor& preemptor, Recording& recording);

  /// After a stop that came late, threads are kept from their CPUs instead for so long, where we may: mostly
  /// they wait for a CPU then, and are not held at all so.
  static constexpr std::chrono::seconds longest_visits{1};

  /// One try. Of a thread that runs nothing is proven where it may not be stopped.
  [[nodiscard]] Settled settle(const PythonThread& thread, bool may_stop);

  /// Whether a thread that does not show its C stack may be taken for the one that runs its state.
  [[nodiscard]] bool is_trusted(const PythonThread& thread) const;

  /// Readies a running thread for settle_together(). What came of it where that is not possible.
  [[nodiscard]] std::optional<Settled> ready(const PythonThread& thread, const ThreadPlace& place);
  /// Holds all of these still, reads them, and lets them go: what came of each, in their order.
  [[nodiscard]] std::vector<Settled> settle_together(std::span<const PythonThread> threads);

  /// The stacks of thread states whose thread's stop has come late; empty where it has given up the state.
  /// Without `held` the caller goes on holding the thread.
  [[nodiscard]] std::vector<std::optional<RawStack>> read_stopped(std::span<const PythonThread> states,
                                                                  std::optional<HeldThread> held);
  /// What a stop that is long overdue would show; nothing where that is not sure.
  [[nodiscard]] std::optional<RawStack> read_overdue(const PythonThread& thread);

 private:
  /// A thread that has just been found on the CPU that we have: it does not run while we do. Nothing where
  /// that is not proven.
  [[nodiscard]] std::optional<RawStack> read_waiting(const PythonThread& thread, const OwnTurn& ours,
                                                     const ThreadPlace& place,
                                                     const std::optional<Turns>& turns);
  [[nodiscard]] Settled settle_running(const PythonThread& thread, const ThreadPlace& place);
  [[nodiscard]] Settled settle_by_stop(const PythonThread& thread, const ThreadPlace& place);
  [[nodiscard]] Settled settle_by_preemption(const PythonThread& thread);
  /// The same of a thread that a stop might be late for; nothing where that is not proven, or not possible.
  [[nodiscard]] std::optional<RawStack> read_visited(const PythonThread& thread);
  /// Lets a thread go that was held since `start`, and counts what that did to it.
  void let_go(HeldThread held, Clock::time_point start);

  SampledProcess& process_;
  ThreadReader& reader_;
  Hold hold_;
  Tracer& tracer_;
  Preemptor& preemptor_;
  Recording& recording_;
  Clock::time_point visits_end_;  // until then
};

}  // namespace sampler
