#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <variant>
#include <vector>

#include "sampler/cpython/c_stack.h"
#include "sampler/cpython/code_cache.h"
#include "sampler/cpython/frame_walker.h"
#include "sampler/cpython/gil.h"
#include "sampler/cpython/thread_lister.h"
#include "sampler/cpython/thread_stack.h"
#include "sampler/memory/overlay.h"
#include "sampler/memory/process_memory.h"
#include "sampler/process/preemption.h"
#include "sampler/process/process.h"
#include "sampler/process/thread_numbers.h"
#include "sampler/process/thread_watch.h"
#include "sampler/process/tracer.h"
#include "sampler/sampler/recording.h"
#include "sampler/sampler/sampling_options.h"

namespace sampler {

/// Takes the samples of one initialised interpreter process: every stack it hands out existed, or is marked.
///
/// Under a GIL only its holder can change Python frames. So all threads are read unfrozen in one batch that
/// starts and ends with the GIL's words: what they say tells which threads could have changed meanwhile: at
/// most two for each GIL. Those are settled one by one: a thread that is blocked is proven by the kernel's
/// count of its turns on a CPU, and one that runs is held still (docs/adr/0001-settling-a-thread.md). A
/// free-threaded Python has no such words: all of its threads that run are held still together.
class InterpreterSampler {
 public:
  using Clock = std::chrono::steady_clock;
  /// A stop that has not come after this is no longer waited for by the ticks that asked for it.
  static constexpr std::chrono::milliseconds longest_wait{100};
  /// Ticks that come faster than this are confirmed together.
  static constexpr std::chrono::milliseconds confirm_interval{1};
  /// How long everyone is not looked at, where the GIL's words tell that nobody but its holder has run.
  static constexpr std::chrono::milliseconds longest_standing{10};
  /// How often a reading that changed under us is repeated.
  static constexpr int most_tries = 4;
  /// The same where nobody is held: a reading takes some microseconds, and most may be torn.
  static constexpr int most_unheld_tries = 32;
  /// Frames copied at once, about at most; the stacks beyond them are marked. A hostile target may have
  /// 16,384 threads of 20,000 frames, of some 60 bytes each.
  static constexpr std::size_t most_frames_at_once = 1'000'000;

  InterpreterSampler(const Process& process, ProcessMemory& memory, PythonRuntime runtime,
                     const SamplingOptions& options, Tracer& tracer, Preemptor& preemptor,
                     Recording& recording);

  /// One tick. False where the process has ended or runs another program: nothing was counted then.
  [[nodiscard]] bool tick(Clock::time_point now);

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
  /// A thread's stack that goes on from sample to sample.
  struct LastingStack {
    ThreadStack stack;
    std::uint32_t sample = 0;  ///< of the overlay, when it was walked last
  };
  /// The one stack of a thread in a process with one interpreter, as read with everyone's.
  struct LastingReading {
    PythonThread thread;
    ThreadActivity activity;
    LastingStack* lasting = nullptr;  ///< null where the reading has frames enough without it
  };
  /// All that was read at one moment, with the GILs' states before and after.
  struct Reading {
    std::vector<GilState> before, after;
    std::vector<PythonThread> threads;
    std::vector<LastingReading> lasting;  ///< where there is one interpreter
    std::vector<ThreadReading> parts;     ///< else: one for each thread state, a thread may have several
  };
  /// What a tick hands out of a thread; of nobody where nobody held the GIL.
  struct Kept {
    PythonThread thread;
    ThreadActivity activity;
    StackId stack{};
    StackEnd end{};
    std::uint64_t count = 1;

    void mark_unreadable(StackTable& stacks) {
      if (stack == StackId::empty) return;
      stack = unreadable_stack(stacks);
      end = StackEnd::unreadable;
    }
  };
  /// What stands while one thread holds the only GIL and the words of it do not change: the frames of all
  /// others.
  struct Standing {
    std::vector<GilState> gils;  ///< the one
    PythonThread holder;
    Tid native_number{};  ///< as its state has it; 0 where it has none
    std::vector<Kept> others;
    Clock::time_point since;
    std::uint64_t ticks = 0;  ///< that the others are still to be handed out for
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
  /// A subinterpreter's state that a tick has found no thread for, while stops that may tell are to come.
  struct UnplacedState {
    PythonThread thread;
    ThreadActivity activity;
    Ledger::TickId tick;
  };
  /// The memory of a thread that is read by itself.
  struct ThreadCopy {
    explicit ThreadCopy(ProcessMemory& memory) : overlay{memory, 0} {}
    Overlay overlay;
    Clock::time_point read_at;
  };
  struct Gone {};
  using Settled = std::variant<RawStack, StopPending, Gone, TickFailure>;
  /// A thread that is settled with others, and what it had had of its CPU where it was blocked.
  struct Subject {
    PythonThread thread;
    ThreadActivity activity;
    std::optional<Turns> turns;
    Settled settled;
  };

  /// A thread that was blocked before everyone was read, and how often it had had a CPU by then.
  struct Bystander {
    PythonThread thread;
    Turns turns;
  };
  using Bystanders = std::unordered_map<std::uint64_t, Bystander>;  // by thread state

  /// What was copied before may go.
  void forget_copied();
  /// As walk_frames(); unreadable where enough frames were copied.
  [[nodiscard]] RawStack walk(Overlay& overlay, RemoteAddress state);
  void sample(Ledger::TickId tick);
  /// A tick of the GIL's holder alone, where all others stand since everyone was read. False where they may
  /// not.
  [[nodiscard]] bool sample_holder(Ledger::TickId tick);
  /// Copies what is predicted of the holder. False where it may be another, or others may have run.
  [[nodiscard]] bool fetch_holder();
  /// Keeps the fetched holder's stack; false as fetch_holder().
  [[nodiscard]] bool keep_holder(Ledger::TickId tick);
  /// The same, whether it runs or not.
  [[nodiscard]] bool keep_unheld_holder();
  /// Takes note of who stands after a reading of everyone that has these stacks.
  void note_standing(const Reading& everyone, std::span<const Kept> stacks);
  /// Keeps what stood for the ticks since the last time.
  void keep_standing();
  /// The threads that the GIL's words did not prove at the last tick, as far as they are blocked now: mostly
  /// they still are those that the words do not prove.
  [[nodiscard]] Bystanders look_at_bystanders();
  /// Whether what was read of a thread with everyone is its stack: it was blocked before, and has not run
  /// since.
  [[nodiscard]] bool stood_by(const Bystanders& bystanders, const LastingReading& reading,
                              const std::vector<GilState>& after);
  /// Keeps what is proven of a reading, and settles the others.
  void sample_read(Ledger::TickId tick, Reading everyone, const Bystanders& bystanders);
  /// The threads that the GIL's words do not prove.
  [[nodiscard]] std::vector<PythonThread> unproven_of(const Reading& everyone) const;
  /// Whether the GIL's words, before and after, prove anything.
  [[nodiscard]] bool is_counted(const Reading& everyone) const;
  /// Everyone as read at one moment, whoever runs.
  void sample_unheld(Ledger::TickId tick);
  /// Whether a reading of threads that run came in one piece, as far as can be told.
  [[nodiscard]] bool is_whole(const Reading& everyone) const;
  /// Each of the threads by itself.
  void settle_all(Ledger::TickId tick, const std::vector<PythonThread>& threads,
                  const std::vector<GilState>& gils);
  /// All of them at one moment: those that run are held still together.
  void settle_together(Ledger::TickId tick, const std::vector<PythonThread>& threads);
  /// Whether a running thread can be held with others. Where not, what comes of it is kept.
  [[nodiscard]] bool may_join(Ledger::TickId tick, const PythonThread& thread, const ThreadActivity& activity,
                              const ThreadPlace& place);
  /// Lets a thread go that was held since `start`, and counts what that did to it.
  void let_go(StopAttempt& attempt, Clock::time_point start);
  /// Holds all of them still, reads them, and lets them go.
  void read_together(std::vector<Subject>& running);
  void keep(Ledger::TickId tick, const PythonThread& thread, const ThreadActivity& activity, Settled settled);
  /// Marks a state that runs and that no thread was found for; not before all of the tick's stops have come.
  void settle_unplaced(Ledger::TickId tick, const PythonThread& thread, const ThreadActivity& activity);
  /// The same of those that wait with these ticks, after one of their stops has come or is given up.
  void settle_unplaced(const std::vector<Waiting>& ticks);
  void forget_unplaced(const std::vector<Waiting>& ticks);
  [[nodiscard]] bool is_placed(RemoteAddress state) const;
  /// Whether stops of a tick are still to come.
  [[nodiscard]] bool is_open(Ledger::TickId tick) const;

  [[nodiscard]] Settled settle(const PythonThread& thread, bool holds_gil);
  [[nodiscard]] Settled settle_once(const PythonThread& thread, bool may_stop);
  [[nodiscard]] Settled settle_by_stop(const PythonThread& thread, const ThreadPlace& place);
  [[nodiscard]] Settled settle_by_preemption(const PythonThread& thread);
  /// Whether a thread that was blocked with so many turns behind it is so still, and did not run in between.
  [[nodiscard]] bool has_stood_still(Tid tid, const std::optional<Turns>& before);
  /// What an attempt that holds nothing comes to.
  [[nodiscard]] static Settled unheld(const StopAttempt& attempt);
  /// One thread's stack as it is now, proven by nothing; nothing where the thread state is another thread's
  /// by now. Where there are subinterpreters, it is that of all of the thread's states.
  [[nodiscard]] std::optional<RawStack> read(const PythonThread& thread);
  /// The stacks of all thread states that a thread runs: those listed last and those made since.
  [[nodiscard]] std::vector<InterpreterStack> read_parts(Overlay& overlay, const PythonThread& thread,
                                                         const std::optional<CStackBounds>& bounds);
  /// Adds the moving states that the thread with this C stack runs.
  void add_moving_states(Overlay& overlay, const CStackBounds& bounds, std::vector<InterpreterStack>& parts);
  /// Thread states of subinterpreters may run on any thread.
  [[nodiscard]] bool has_moving_states() const;
  /// Whether the words of a GIL do not tell which thread changes frames.
  [[nodiscard]] bool names_no_thread(const std::vector<GilState>& gils,
                                     const std::vector<PythonThread>& threads) const;
  /// The thread state names another thread by now.
  [[nodiscard]] bool names_another(Overlay& overlay, const PythonThread& thread);
  /// Nothing while the thread runs.
  [[nodiscard]] std::optional<CStackBounds> c_stack_of(Overlay& overlay, const PythonThread& thread);
  [[nodiscard]] std::optional<RemoteAddress> pthread_of(Overlay& overlay, const PythonThread& thread);
  /// Whether a blocked thread that the GIL's words call the holder is the one that runs this stack.
  [[nodiscard]] bool is_run_by(const PythonThread& thread, const RawStack& stack);
  /// The thread states with our numbers for the threads; has_missed tells nothing after it.
  [[nodiscard]] ThreadList list(Overlay& overlay);
  [[nodiscard]] bool is_listed(const std::vector<PythonThread>& threads, const PythonThread& thread) const;
  /// How long to wait for a stop: a thread that shares our CPU cannot stop while we run.
  [[nodiscard]] static std::chrono::microseconds spin_for(const ThreadPlace& place);
  /// Takes note of the interpreters there are; false where they are others than before.
  [[nodiscard]] bool knows(const std::vector<Interpreter>& interpreters);
  [[nodiscard]] std::optional<RawStack> read_held(const PythonThread& thread, HeldThread held);
  /// What a stop that is long overdue would show; nothing where that is not sure.
  [[nodiscard]] std::optional<RawStack> read_interrupted(const PendingStop& pending);
  void settle_waiting(const PendingStop& pending, const std::vector<Waiting>& ticks,
                      const std::optional<RawStack>& stack);

  /// Nothing where memory could not be read or the list of threads was damaged. The stacks are those of the
  /// wanted threads that the GIL's words may prove, and of the bystanders.
  [[nodiscard]] std::optional<Reading> read_everyone(const Bystanders& bystanders = {});
  /// Whether a thread state of a free-threaded Python ran when everyone was read last.
  [[nodiscard]] bool is_attached(RemoteAddress state);
  /// Whether nobody runs Python, and that is to be reported.
  [[nodiscard]] bool is_idle(const std::vector<PythonThread>& threads, const std::vector<GilState>& gils);
  [[nodiscard]] bool is_wanted(const ThreadActivity& activity) const;
  [[nodiscard]] ThreadActivity activity_of(const PythonThread& thread, const std::vector<GilState>& gils);
  /// Keeps what was proven of the threads: one stack for each. They may stand from now on.
  void keep_proven(Reading& reading);
  void keep(const PythonThread& thread, const ThreadActivity& activity, const RawStack& stack);
  /// As the overlay has the thread state now.
  void walk(LastingStack& lasting, Overlay& overlay, RemoteAddress state);

  /// Whether what was kept since the last time must wait no longer.
  [[nodiscard]] bool must_confirm(Clock::time_point now) const;
  /// Hands out what was kept, once it is known to be of the same program and of the same code objects. False
  /// where the program is another: nothing was counted then.
  [[nodiscard]] bool confirm(Clock::time_point now);
  void cancel_unconfirmed();
  void emit(const Kept& kept);

  /// The process is ending: its first thread has.
  [[nodiscard]] bool is_ending();
  [[nodiscard]] ThreadWatch& watch(Tid tid);
  /// Where a thread is and what it does, and the latter alone; nothing once it has ended.
  [[nodiscard]] std::optional<ThreadPlace> place_of(Tid tid);
  [[nodiscard]] std::optional<char> state_of(Tid tid);
  [[nodiscard]] ThreadCopy& copy_of(const PythonThread& thread);
  /// Reads a thread that is about to be held. While it runs its stack is worth nothing, but tells the blocks
  /// to copy at once while it is held, and has what does so in the caches: among 159 threads a hold at 1 kHz
  /// is 5 us shorter. What was read a moment ago is as good.
  void foresee(const PythonThread& thread);
  [[nodiscard]] std::vector<PendingStop> take_pending(Tid tid);
  void forget_ended(const std::vector<PythonThread>& threads);

  const Process& process_;
  Pid pid_;
  ProcessMemory& memory_;
  PythonRuntime runtime_;
  SamplingOptions options_;
  Tracer& tracer_;
  Preemptor& preemptor_;
  Recording& recording_;

  ThreadNumbers numbers_;
  GilGuard gils_;
  std::vector<Interpreter> interpreters_;  // as listed last
  std::vector<PythonThread> threads_;      // as listed last
  std::vector<RemoteAddress> oldest_;      // as listed last, of each interpreter
  CodeCache codes_;
  Overlay everyone_;
  std::unordered_map<std::uint64_t, ThreadCopy> copies_;  // of threads read one by one, by state
  std::unordered_map<pid_t, ThreadWatch> watches_;
  std::vector<PendingStop> pending_;
  std::vector<Kept> kept_;  // of the ticks since the last confirm()
  std::vector<Ledger::TickId> unconfirmed_;
  Clock::time_point confirmed_at_;
  Overlay code_objects_;                                     // of confirm()
  std::unordered_map<std::uint64_t, LastingStack> lasting_;  // by thread state
  std::optional<Standing> standing_;
  Overlay holder_;                           // of the ticks of the holder alone
  LastingStack holder_stack_;                // as of holder_
  std::vector<PythonThread> last_unproven_;  // by the GIL's words of the last tick
  std::vector<RemoteAddress> placed_;        // moving states whose threads this tick, or late stop, found
  std::vector<UnplacedState> unplaced_;      // of ticks that wait for stops
  std::size_t frames_left_ = 0;              // of most_frames_at_once
  Clock::time_point now_;                    // when the tick at work began
  bool is_idle_ = false;  // of the tick at work: nobody held the GIL, and that is to be reported
  std::vector<std::uint32_t> unread_;
};

}  // namespace sampler
