#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <variant>
#include <vector>

#include "sampler/cpython/code_cache.h"
#include "sampler/cpython/frame_walker.h"
#include "sampler/cpython/gil.h"
#include "sampler/cpython/thread_lister.h"
#include "sampler/memory/overlay.h"
#include "sampler/memory/process_memory.h"
#include "sampler/process/thread_watch.h"
#include "sampler/process/tracer.h"
#include "sampler/sampler/recording.h"
#include "sampler/sampler/sampling_options.h"

namespace sampler {

/// Takes the samples of one initialised interpreter process: every stack it hands out existed, or is marked.
///
/// Under a GIL only its holder can change Python frames. So all threads are read unfrozen in one batch that
/// starts and ends with the GIL's words: what they say tells which threads could have changed meanwhile, at
/// most two. Those are settled one by one: a thread that is blocked is proven by the kernel's count of its
/// turns on a CPU, and one that runs is held still (docs/adr/0001-settling-a-thread.md).
class InterpreterSampler {
 public:
  using Clock = std::chrono::steady_clock;
  /// A stop that has not come after this is no longer waited for by the ticks that asked for it.
  static constexpr std::chrono::milliseconds longest_wait{100};
  /// How often a reading that changed under us is repeated.
  static constexpr int most_tries = 4;

  InterpreterSampler(Pid pid, ProcessMemory& memory, const PythonRuntime& runtime,
                     const SamplingOptions& options, Tracer& tracer, Recording& recording);

  /// One tick. False where the process has ended or runs another program: nothing was counted then.
  [[nodiscard]] bool tick();

  /// Whether a tick waits for this thread's stop.
  [[nodiscard]] bool waits_for(Tid tid) const noexcept;
  /// A stop that was waited for has come.
  void stop_came(Tid tid, HeldThread held);
  /// A thread has ended: what waited for it is settled without a sample.
  void thread_ended(Tid tid);
  /// The program has ended: ticks that wait for a stop were never asked for.
  void abandon();
  /// Settles the ticks that have waited too long without their stop.
  void give_up(Clock::time_point now);
  /// When give_up() has something to do; nothing while no tick waits.
  [[nodiscard]] std::optional<Clock::time_point> next_give_up() const;

 private:
  /// One thread as read at one moment.
  struct ThreadReading {
    PythonThread thread;
    ThreadActivity activity;
    RawStack stack;
  };
  /// All that was read at one moment, with the GIL's state before and after.
  struct Reading {
    GilState before, after;
    std::vector<PythonThread> threads;
    std::vector<ThreadReading> stacks;
  };
  /// A tick that waits for a stop.
  struct Waiting {
    Ledger::TickId tick;
    Clock::time_point since;
  };
  /// A stop that is still to come, and who waits for it.
  struct PendingStop {
    PythonThread thread;
    ThreadActivity activity;
    std::vector<Waiting> ticks;
  };
  struct Gone {};
  using Settled = std::variant<RawStack, StopPending, Gone, TickFailure>;

  void sample(Ledger::TickId tick);
  void sample_counted(Ledger::TickId tick, Reading everyone);
  void settle_all(Ledger::TickId tick, const std::vector<PythonThread>& threads, const GilState& gil);
  void keep(Ledger::TickId tick, const PythonThread& thread, const ThreadActivity& activity, Settled settled);

  [[nodiscard]] Settled settle(const PythonThread& thread, bool holds_gil);
  [[nodiscard]] Settled settle_once(const PythonThread& thread, bool may_stop);
  [[nodiscard]] Settled settle_by_stop(const PythonThread& thread);
  /// One thread's stack as it is now, proven by nothing; nothing where the thread state is another thread's
  /// by now.
  [[nodiscard]] std::optional<RawStack> read(const PythonThread& thread);
  [[nodiscard]] std::optional<RawStack> read_held(const PythonThread& thread, HeldThread held);
  /// What a stop that is long overdue would show; nothing where that is not sure.
  [[nodiscard]] std::optional<RawStack> read_interrupted(const PendingStop& pending);
  void settle_waiting(const PendingStop& pending, const std::vector<Waiting>& ticks,
                      const std::optional<RawStack>& stack);

  /// Nothing where memory could not be read or the list of threads was damaged. The stacks are those of the
  /// wanted threads, but for the GIL's last holder; none where the GIL does not count its switches.
  [[nodiscard]] std::optional<Reading> read_everyone();
  [[nodiscard]] bool is_wanted(const ThreadActivity& activity) const;
  [[nodiscard]] ThreadActivity activity_of(const PythonThread& thread, const GilState& gil);

  void emit(const ThreadReading& reading, std::uint64_t count);

  /// The process is ending: its first thread has.
  [[nodiscard]] bool is_ending();
  [[nodiscard]] ThreadWatch& watch(Tid tid);
  [[nodiscard]] std::optional<char> state_of(Tid tid);
  [[nodiscard]] Overlay& overlay_of(const PythonThread& thread);
  [[nodiscard]] std::vector<PendingStop> take_pending(Tid tid);
  void forget_ended(const std::vector<PythonThread>& threads);

  Pid pid_;
  ProcessMemory& memory_;
  PythonRuntime runtime_;
  SamplingOptions options_;
  Tracer& tracer_;
  Recording& recording_;

  GilProbe gil_;
  GilProbe::Words words_{}, words_after_{};
  std::vector<RemoteRange> guard_before_, guard_after_;
  CodeCache codes_;
  Overlay everyone_;
  std::unordered_map<std::uint64_t, std::unique_ptr<Overlay>> overlays_;  // of threads read one by one
  std::unordered_map<pid_t, ThreadWatch> watches_;
  std::vector<PendingStop> pending_;
  std::vector<ThreadReading>
      kept_;              // of the tick at work: handed out once the program is known to be the same
  bool is_idle_ = false;  // of the tick at work: nobody held the GIL, and that is to be reported
  std::vector<std::uint32_t> unread_;
};

}  // namespace sampler
