#pragma once

#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <vector>

#include "sampler/base/error.h"
#include "sampler/cpython/layout_catalog.h"
#include "sampler/cpython/python_runtime.h"
#include "sampler/memory/process_memory.h"
#include "sampler/process/preemption.h"
#include "sampler/process/process.h"
#include "sampler/process/tracer.h"
#include "sampler/sampler/interpreter_sampler.h"
#include "sampler/sampler/interpreter_search.h"
#include "sampler/sampler/overhead_governor.h"
#include "sampler/sampler/pacer.h"
#include "sampler/sampler/recording.h"
#include "sampler/sampler/runtime_finder.h"
#include "sampler/sampler/sampling_options.h"

namespace sampler {

/// One process to sample, with a schedule of its own: it looks for the process's Pythons, of which several
/// may live in it, samples them all at each tick, notices when the process runs another program, and looks
/// again.
class Target {
 public:
  using Clock = std::chrono::steady_clock;

  /// A process that is (or by exec becomes) a Python. Throws Error where there is none or we may not trace
  /// it.
  Target(Pid pid, const SamplingOptions& options, const LayoutCatalog& catalog, Tracer& tracer,
         Preemptor& preemptor, Recording& recording);
  Target(const Target&) = delete;
  Target& operator=(const Target&) = delete;
  ~Target();

  /// Finds the interpreter now, waiting at most a second where it is not initialised or not even mapped yet;
  /// throws the Error that says why there is none.
  void require_interpreter();

  /// Does what is due: a tick, a look for the interpreter, waits to give up.
  void work(Clock::time_point now);
  /// Only settles ticks that have waited too long for a stop.
  void settle_late(Clock::time_point now);
  /// The process has ended, and with it the run.
  void process_ended();
  /// When work() is next needed; nothing once is_done().
  [[nodiscard]] std::optional<Clock::time_point> next_work() const;
  /// The run is over: the process has ended or the time is up.
  [[nodiscard]] bool is_done() const noexcept { return is_done_; }
  /// Still waits for stops that it asked for.
  [[nodiscard]] bool is_waiting() const { return next_give_up().has_value(); }
  /// The run is over because the process has ended.
  [[nodiscard]] bool has_ended() const noexcept { return has_ended_; }
  /// The run is over because the process became a program that is no Python.
  [[nodiscard]] bool is_lost() const noexcept { return is_lost_; }
  /// Why the last look for an interpreter found none.
  [[nodiscard]] const std::optional<Error>& last_error() const noexcept { return last_error_; }
  /// Whether an interpreter was ever found.
  [[nodiscard]] bool was_found() const noexcept { return pacer_.has_value(); }

  /// Takes a late stop of a thread of this process; false, and `held` is as before, where it is another's.
  bool stop_came(Tid tid, HeldThread& held);
  void thread_ended(Tid tid);

  [[nodiscard]] const Process& process() const noexcept { return *process_; }
  /// The version found last, of several Pythons the first's; nothing before.
  [[nodiscard]] std::optional<PythonVersion> version() const;

  /// Whether a Python found last has a GIL; false before.
  [[nodiscard]] bool has_gil() const noexcept { return has_gil_; }

 private:
  /// A Python that lives in the process.
  struct Sampled {
    PythonRuntime runtime;
    std::unique_ptr<InterpreterSampler> sampler;
    bool is_missed = false;  ///< at the last look it did not prove itself
  };

  /// As fast as it goes is no faster than the stops, whether that was asked for or a high rate cannot be
  /// kept: to go on asking would keep the CPU from the thread we wait for.
  [[nodiscard]] bool waits_for_stop() const;
  [[nodiscard]] bool search();
  /// What we know of the Pythons is the search's until its end.
  [[nodiscard]] InterpreterSearch new_search();
  /// What a search has found is ours from here on. Whether there is an initialised interpreter.
  [[nodiscard]] bool take(InterpreterSearch search);
  /// The same as search(), but nothing while a file of the process keeps it waiting.
  [[nodiscard]] std::optional<bool> search_apart();
  void begin(Clock::time_point now);
  void add(PythonRuntime runtime);
  /// Samples the Pythons that have come to life meanwhile too, and no longer those that have ended.
  void look_for_others(Clock::time_point now);
  /// Those that a search for them has found; false while that is on.
  [[nodiscard]] bool take_others();
  void drop_ended(Clock::time_point now);
  void lose();
  [[nodiscard]] std::optional<Clock::time_point> next_give_up() const;
  /// One tick, after which the interval is widened where holding the target took more than it may. As
  /// InterpreterSampler's.
  [[nodiscard]] bool tick(Clock::time_point now);
  [[nodiscard]] bool sample_all(Clock::time_point now, Ledger::TickId tick);

  std::shared_ptr<const Process> process_;
  SamplingOptions options_;
  Tracer& tracer_;
  Preemptor& preemptor_;
  Recording& recording_;
  std::shared_ptr<ProcessMemory> memory_;
  RuntimeFinder finder_;              // a search's while one runs
  std::vector<PythonRuntime> found_;  // by the last search, to begin with
  std::shared_ptr<const Layout> layout_;
  Tid main_thread_{};  // as in PythonRuntime
  bool has_gil_ = false;
  std::vector<Sampled> interpreters_;
  std::optional<Pacer> pacer_;
  std::optional<OverheadGovernor> governor_;
  std::optional<Error> last_error_;
  SearchThread search_thread_{options_.priority};
  std::future<InterpreterSearch> running_search_;
  bool is_search_stale_ = false;  // the one that runs is of the program before
  Clock::time_point next_search_;
  Clock::time_point rest_end_;
  Clock::time_point search_end_;  ///< of a search for what the program has become
  bool is_behind_ = false;        ///< the last tick took until the next one was due
  bool was_python_ = false;
  bool is_done_ = false;
  bool is_lost_ = false;
  bool has_ended_ = false;
};

}  // namespace sampler
