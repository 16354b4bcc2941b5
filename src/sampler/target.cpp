#include "sampler/sampler/target.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <random>
#include <span>

#include "sampler/base/error.h"
#include "sampler/base/file.h"
#include "sampler/cpython/runtime_locator.h"
#include "sampler/process/process_status.h"

namespace sampler {
namespace {

using namespace std::chrono_literals;

/// How long a process that has become another program may take until that is an initialised Python.
constexpr auto longest_search = 500ms;

/// How long a process may be something else before it becomes a Python: a launcher that has not exec'ed yet,
/// a program whose libraries the loader is just mapping.
constexpr auto longest_start = 500ms;

/// How long a thread runs after a late stop before the next tick. It may share our CPU, and then every stop
/// is late: asked for again at once, it would stop before it has executed a single instruction.
constexpr auto rest = 100us;

/// How long the loop waits for a search, which is a matter of milliseconds unless a filesystem hangs.
constexpr auto longest_wait_for_search = 20ms;

/// How long we wait in the end for a search that still runs.
constexpr auto longest_farewell = 200ms;

/// How often to look for an interpreter that is still to come: often enough to sample it within one interval.
std::chrono::nanoseconds search_interval(std::chrono::nanoseconds interval) {
  return std::clamp<std::chrono::nanoseconds>(interval / 2, 500us, 5ms);
}

/// What is wrong with a process that is no Python, and which Pythons it has started: it may be a launcher or
/// a shell.
Error with_children(const Error& error, const Process& process) {
  if (error.kind() != ErrorKind::not_python) return error;
  const auto children = python_descendants(process.pid());
  if (children.empty()) return error;
  constexpr std::size_t most = 10;
  std::string numbers;
  for (const auto child : std::span{children}.first(std::min(most, children.size()))) {
    numbers += fmt::format(" {}", number(child));
  }
  if (children.size() > most) numbers += fmt::format(" and {} more", children.size() - most);
  return Error{error.kind(), error.what(),
               fmt::format("it has started Python processes:{}; try: sampler -p {}", numbers,
                           number(children.front()))};
}

Error ended(const Process& process) {
  return Error{ErrorKind::no_process, fmt::format("process {} has ended", number(process.pid())),
               "give the number of a process that runs"};
}

/// Another sampler holds threads for moments only: whoever is there for longer is a debugger.
std::optional<Tracing> find_lasting_tracer(const Process& process) {
  constexpr int looks = 20;
  std::optional<Tracing> tracing;
  for (int look = 0; look < looks; ++look) {
    const auto now = find_tracer(process);
    if (!now || (tracing && now->tracer != tracing->tracer)) return std::nullopt;
    tracing = now;
    const timespec pause{0, 10'000'000};
    ::nanosleep(&pause, nullptr);
  }
  return tracing;
}

void refuse_if_traced(const Process& process) {
  const auto tracing = find_lasting_tracer(process);
  if (!tracing) return;
  const auto tracer = number(tracing->tracer);
  const auto stat = read_stat(std::to_string(tracer));
  throw Error{ErrorKind::already_traced,
              fmt::format("process {} is already traced by process {} ({})", number(process.pid()), tracer,
                          stat ? stat->name : "ended"),
              "a thread can have one tracer only: detach it or wait for its end"};
}

/// It is ending, and on a busy machine that takes a while: it has become no other program.
bool has_no_memory(const Process& process) {
  const auto maps = read_file(process.proc_path("maps"));
  return maps ? maps->empty() : maps.error() == ESRCH;
}

Error not_ready(const Process& process, RemoteMemory& memory, const PythonRuntime& runtime) {
  const auto text =
      fmt::format("process {} has Python {}, ", number(process.pid()), to_string(runtime.layout->version));
  if (is_finalizing(memory, runtime)) {
    return Error{ErrorKind::not_python, text + "which is ending and runs no more of the program",
                 "nothing is left to sample; if it does not end, gdb -p shows where it hangs"};
  }
  return Error{ErrorKind::not_python, text + "which has not been initialised, or has ended",
               "a program that starts, or only may run Python, can be tried again in a moment"};
}

/// Whether what was wrong with a process may be over in a moment, because its program has just been started.
/// One called like a Python may have been so by a process of any age.
bool may_become_python(const Process& process, const Error& error) {
  if (error.kind() == ErrorKind::not_python && has_python_program(process)) return true;
  return error.kind() != ErrorKind::usage && process.age() < longest_start;
}

}  // namespace

Target::Target(Pid pid, const SamplingOptions& options, const LayoutCatalog& catalog, Tracer& tracer,
               Preemptor& preemptor, Recording& recording)
    : process_{std::make_shared<const Process>(pid)},
      options_{options},
      catalog_{std::make_shared<const LayoutCatalog>(catalog)},
      tracer_{tracer},
      preemptor_{preemptor},
      recording_{recording},
      memory_{std::make_shared<ProcessMemory>(*process_)} {
  if (options_.hold == Hold::ptrace) refuse_if_traced(*process_);
}

Target::~Target() {
  // One that hangs is left to the end of the program; of any other that end must not take its ground away.
  if (running_search_.valid()) running_search_.wait_for(longest_farewell);
}

void Target::require_interpreter() {
  const auto deadline = Clock::now() + 1s;
  while (!search()) {
    if (!process_->is_alive()) throw ended(*process_);
    const bool may_come = runtime_ || may_become_python(*process_, *last_error_);
    if (!may_come || Clock::now() > deadline) {
      throw with_children(runtime_ ? not_ready(*process_, *memory_, *runtime_) : *last_error_, *process_);
    }
    const timespec pause{0, 1'000'000};
    ::nanosleep(&pause, nullptr);
  }
  was_python_ = true;
  search_end_ = Clock::now() + longest_search;
}

std::optional<PythonVersion> Target::version() const {
  return runtime_ ? std::optional{runtime_->layout->version} : std::nullopt;
}

bool Target::has_gil() const {
  return runtime_ && runtime_->layout->traits.gil != GilKind::none;
}

bool Target::search() {
  auto search = new_search();
  search.run();
  return take(std::move(search));
}

InterpreterSearch Target::new_search() const {
  return {process_, catalog_, options_.hold, memory_, runtime_, last_error_, false};
}

bool Target::take(InterpreterSearch search) {
  memory_ = std::move(search.memory);
  runtime_ = std::move(search.runtime);
  last_error_ = std::move(search.error);
  return search.is_found;
}

std::optional<bool> Target::search_apart() {
  const bool is_new = !running_search_.valid();
  if (is_new) running_search_ = search_thread_.run(new_search());
  // Most searches are over by then, and a run is to begin with its interpreter.
  const auto patience = is_new ? longest_wait_for_search : 0ms;
  if (running_search_.wait_for(patience) == std::future_status::ready) return take(running_search_.get());
  last_error_ = Error{
      ErrorKind::no_stack,
      fmt::format("the search for the interpreter of process {} was not over", number(process().pid())),
      "a file that it runs may be on a filesystem that does not answer: look at the mounts of its files"};
  return std::nullopt;
}

void Target::begin(Clock::time_point now) {
  const auto status = read_status(std::to_string(number(process_->pid())));
  const auto numbers = status ? status->numbers : std::nullopt;
  runtime_->main_thread = Tid{numbers ? number(numbers->inner) : number(process_->pid())};
  interpreter_ = std::make_unique<InterpreterSampler>(process_->pid(), *memory_, *runtime_, options_, tracer_,
                                                      preemptor_, recording_);
  was_python_ = true;
  if (pacer_) return;  // a run that goes on after an exec keeps its schedule
  pacer_.emplace(now, options_.interval, options_.duration, std::random_device{}());
  governor_.emplace(options_.max_overhead, options_.interval, now);
  const auto directory = read_link(process_->proc_path("cwd"));
  recording_.begin(
      RunInfo{process_->pid(), runtime_->layout->version, directory ? *directory : std::string{}});
}

bool Target::stop_came(Tid tid, HeldThread& held) {
  if (!interpreter_ || !interpreter_->waits_for(tid)) return false;
  const auto before = recording_.held.wall();
  interpreter_->stop_came(tid, std::move(held));
  governor_->add(recording_.held.wall() - before);
  rest_end_ = Clock::now() + rest;
  return true;
}

bool Target::tick(Clock::time_point now) {
  const auto start = Clock::now();
  const auto before = recording_.held.wall();
  const bool is_same_program = interpreter_->tick(now);
  governor_->add(recording_.held.wall() - before);
  const auto end = Clock::now();
  pacer_->set_interval(governor_->after_tick(start, end));
  is_behind_ = pacer_->next() && *pacer_->next() <= end;
  return is_same_program;
}

bool Target::waits_for_stop() const {
  // At lower rates a tick that takes too long is no sign: with six busy threads of 2.7 at 1 kHz, waiting made
  // 70 % of the ticks late instead of 10 %.
  const bool is_behind = is_behind_ && options_.interval <= rest;
  return (options_.interval == 0ns || is_behind) && is_waiting();
}

void Target::process_ended() {
  lose();
  has_ended_ = is_done_ = true;
}

void Target::settle_late(Clock::time_point now) {
  if (interpreter_) interpreter_->give_up(now);
}

void Target::lose() {
  if (interpreter_) interpreter_->abandon();
  tracer_.forget_lost();
  interpreter_.reset();
  runtime_.reset();
}

void Target::work(Clock::time_point now) {
  settle_late(now);
  if (is_done_ || now < rest_end_ || waits_for_stop()) return;
  if (!interpreter_ && now >= next_search_) {
    next_search_ = now + search_interval(options_.interval);
    const auto has_found = search_apart();
    if (has_found.value_or(false)) begin(now);
    is_lost_ = has_found && !interpreter_ && was_python_ && now > search_end_ && !has_no_memory(*process_);
    has_ended_ = !interpreter_ && !process_->is_alive();
    if (is_lost_ || has_ended_) is_done_ = true;
  }
  if (!pacer_) return;
  const auto interval = pacer_->interval();
  const auto due = pacer_->advance(now);
  recording_.ledger.add_late(due.late);
  const bool is_slowed_down = options_.interval == 0ns && interval > 0ns;
  if (due.left_out > 0 || is_slowed_down) recording_.note_widened(interval, due.left_out);
  if (due.is_due && interpreter_ && !tick(now)) {
    lose();
    search_end_ = now + longest_search;
    has_ended_ = is_done_ = !process_->is_alive();
  } else if (due.is_due && !interpreter_) {
    const auto tick = recording_.ledger.open();
    recording_.ledger.fail(tick,
                           running_search_.valid() ? TickFailure::searching : TickFailure::no_interpreter);
    recording_.ledger.release(tick);
  }
  const auto deadline = pacer_->deadline();
  if (!pacer_->next() && (!deadline || now >= *deadline)) is_done_ = true;
}

std::optional<Target::Clock::time_point> Target::next_work() const {
  auto next = interpreter_ ? interpreter_->next_give_up() : std::nullopt;
  const auto sooner = [&](std::optional<Clock::time_point> at) {
    if (at && (!next || *at < *next)) next = at;
  };
  if (is_done_) return next;
  if (!interpreter_) sooner(next_search_);
  if (pacer_ && !waits_for_stop()) sooner(pacer_->next() ? pacer_->next() : pacer_->deadline());
  return next && *next < rest_end_ ? rest_end_ : next;
}

}  // namespace sampler
