#pragma once

#include <chrono>
#include <optional>
#include <vector>

#include "sampler/cpython/frame_walker.h"
#include "sampler/cpython/gil.h"
#include "sampler/cpython/python_runtime.h"
#include "sampler/cpython/thread_lister.h"
#include "sampler/memory/process_memory.h"
#include "sampler/process/preemption.h"
#include "sampler/process/tracer.h"
#include "sampler/sampler/everyone_reader.h"
#include "sampler/sampler/late_stops.h"
#include "sampler/sampler/recording.h"
#include "sampler/sampler/sampled_process.h"
#include "sampler/sampler/sampling_options.h"
#include "sampler/sampler/standing_threads.h"
#include "sampler/sampler/thread_reader.h"
#include "sampler/sampler/thread_settler.h"
#include "sampler/sampler/unconfirmed_samples.h"

namespace sampler {

/// Takes the samples of one initialised interpreter process: every stack it hands out existed, or is marked.
///
/// Under a GIL only its holder can change Python frames. So all threads are read unfrozen in one batch that
/// starts and ends with the GIL's words (EveryoneReader): what they say tells which threads could have
/// changed meanwhile: at most two for each GIL. Those are settled one by one (ThreadSettler). While the words
/// stay as they are, the holder alone is looked at (StandingThreads). A free-threaded Python has no such
/// words: all of its threads that run are held still together.
class InterpreterSampler {
 public:
  using Clock = std::chrono::steady_clock;
  /// How often a reading that changed under us is repeated.
  static constexpr int most_tries = 4;
  /// How often a thread that runs without the GIL is looked at before it is stopped: mostly it is about to
  /// take it or to block.
  static constexpr int most_waits = 3;
  /// The same where nobody is held: a reading takes some microseconds, and most may be torn.
  static constexpr int most_unheld_tries = 32;

  InterpreterSampler(Pid pid, ProcessMemory& memory, PythonRuntime runtime, const SamplingOptions& options,
                     Tracer& tracer, Preemptor& preemptor, Recording& recording);

  /// Its part of a tick, which may be other interpreters' too: that nobody held the GIL is reported where
  /// they are idle as well. False where the process has ended or runs another program: then the tick is
  /// cancelled.
  [[nodiscard]] bool tick(Clock::time_point now, Ledger::TickId tick, bool are_others_idle);
  /// Whether nobody held the GIL at the last tick, and that is to be reported.
  [[nodiscard]] bool is_idle() const noexcept { return is_idle_; }

  /// Whether a tick waits for this thread's stop.
  [[nodiscard]] bool waits_for(Tid tid) const noexcept { return late_stops_.are_waited_for(tid); }
  /// A stop that was waited for has come; without `held` the caller goes on holding the thread.
  void stop_came(Tid tid, std::optional<HeldThread> held);
  /// A thread has ended: what waited for it is settled without a sample.
  void thread_ended(Tid tid);
  /// The program has ended: ticks that wait for a stop were never asked for.
  void abandon();
  /// The interpreter has ended, and its program goes on: what is kept is handed out. Not while a tick waits
  /// for a stop.
  void end(Clock::time_point now);
  /// Settles the ticks that have waited too long without their stop.
  void give_up(Clock::time_point now);
  /// When give_up() has something to do; nothing while no tick waits.
  [[nodiscard]] std::optional<Clock::time_point> next_give_up() const { return late_stops_.next_overdue(); }

 private:
  /// A subinterpreter's state that a tick has found no thread for, while stops that may tell are to come.
  struct UnplacedState {
    PythonThread thread;
    ThreadActivity activity;
    Ledger::TickId tick;
  };

  /// What was copied before may go.
  void forget_copied();
  void sample(Ledger::TickId tick);
  /// Everyone as read at one moment, whoever runs.
  void sample_unheld(Ledger::TickId tick);
  /// A tick of the GIL's holder alone, where all others stand since everyone was read. False where they may
  /// not.
  [[nodiscard]] bool sample_holder(Ledger::TickId tick);
  /// Keeps what is proven of a reading, and settles the others.
  void sample_read(Ledger::TickId tick, Reading everyone, const Bystanders& bystanders);

  /// The threads that the GIL's words did not prove at the last tick, as far as they are blocked now: mostly
  /// they still are those that the words do not prove.
  [[nodiscard]] Bystanders look_at_bystanders();
  /// Whether what was read of a thread with everyone is its stack: it was blocked before, and has not run
  /// since.
  [[nodiscard]] bool stood_by(const Bystanders& bystanders, const Reading::Lasting& reading,
                              const std::vector<GilState>& after);
  /// Whether the GIL's words, before and after, prove anything.
  [[nodiscard]] bool is_counted(const Reading& everyone) const;
  /// Whether the words of a GIL do not tell which thread changes frames.
  [[nodiscard]] bool names_no_thread(const std::vector<GilState>& gils,
                                     const std::vector<PythonThread>& threads) const;
  /// The threads that the GIL's words do not prove.
  [[nodiscard]] std::vector<PythonThread> unproven_of(const Reading& everyone) const;

  /// Keeps what was proven of the threads: one stack for each. They may stand from now on.
  void keep_proven(Reading& reading);
  void keep(Ledger::TickId tick, const PythonThread& thread, const ThreadActivity& activity, Settled settled);

  /// Each of the threads by itself.
  void settle_all(Ledger::TickId tick, const std::vector<PythonThread>& threads,
                  const std::vector<GilState>& gils);
  /// All of them at one moment: those that run are held still together.
  void settle_together(Ledger::TickId tick, const std::vector<PythonThread>& threads);
  /// One thread, as often as it takes.
  [[nodiscard]] Settled settle(const PythonThread& thread, bool holds_gil);
  /// Marks a state that runs and that no thread was found for; not before all of the tick's stops have come.
  void settle_unplaced(Ledger::TickId tick, const PythonThread& thread, const ThreadActivity& activity);
  /// The same of those that wait with these ticks, after one of their stops has come or is given up.
  void settle_unplaced(const std::vector<LateStops::Waiting>& ticks);
  void forget_unplaced(const std::vector<LateStops::Waiting>& ticks);
  /// The ticks of a stop that has come or is given up. Where there is no stack they fail for the reason
  /// `otherwise`.
  void settle_waiting(const LateStops::Stop& stop, const std::optional<RawStack>& stack,
                      TickFailure otherwise);

  /// Hands out what was kept, once it is known to be of the same program and of the same code objects. False
  /// where the program is another: nothing was counted then.
  [[nodiscard]] bool confirm(Clock::time_point now);
  void cancel_unconfirmed();
  void forget_ended(const std::vector<PythonThread>& threads);

  SamplingOptions options_;
  Recording& recording_;
  SampledProcess process_;
  ThreadReader reader_;
  ThreadSettler settler_;
  EveryoneReader everyone_;
  UnconfirmedSamples samples_;
  StandingThreads standing_;
  LateStops late_stops_;
  std::vector<PythonThread> last_unproven_;  // by the GIL's words of the last tick
  std::vector<UnplacedState> unplaced_;      // of ticks that wait for stops
  Clock::time_point now_;                    // when the tick at work began
  bool is_idle_ = false;  // of the tick at work: nobody held the GIL, and that is to be reported
};

}  // namespace sampler
