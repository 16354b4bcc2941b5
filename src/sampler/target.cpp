#include "sampler/sampler/target.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <random>
#include <span>
#include <utility>

#include "sampler/base/error.h"
#include "sampler/base/file.h"
#include "sampler/base/log.h"
#include "sampler/cpython/runtime_locator.h"
#include "sampler/cpython/runtime_state.h"
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
  const auto maps = read_start(process.proc_path("maps"), 1);
  return maps ? maps->empty() : maps.error() == ESRCH;
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
      tracer_{tracer},
      preemptor_{preemptor},
      recording_{recording},
      memory_{std::make_shared<ProcessMemory>(*process_)},
      finder_{process_, std::make_shared<const LayoutCatalog>(catalog)} {
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
    const bool has_one = finder_.has_candidates();
    const bool may_come = has_one || may_become_python(*process_, *last_error_);
    if (!may_come || Clock::now() > deadline) {
      throw with_children(has_one ? finder_.why_none(*memory_) : *last_error_, *process_);
    }
    const timespec pause{0, 1'000'000};
    ::nanosleep(&pause, nullptr);
  }
  was_python_ = true;
  search_end_ = Clock::now() + longest_search;
}

std::optional<PythonVersion> Target::version() const {
  return layout_ ? std::optional{layout_->version} : std::nullopt;
}

bool Target::search() {
  auto search = new_search();
  search.run();
  return take(std::move(search));
}

InterpreterSearch Target::new_search() {
  is_search_stale_ = false;
  return {process_, options_.hold, memory_, std::move(finder_), last_error_, std::exchange(found_, {})};
}

bool Target::take(InterpreterSearch search) {
  finder_ = std::move(search.finder);
  if (is_search_stale_) {
    finder_.forget();
    return false;
  }
  memory_ = std::move(search.memory);
  last_error_ = std::move(search.error);
  found_ = std::move(search.found);
  if (found_.empty()) return false;
  layout_ = found_.front().layout;
  has_gil_ = std::any_of(found_.begin(), found_.end(), [](const PythonRuntime& runtime) {
    return runtime.layout->traits.gil != GilKind::none;
  });
  return true;
}

std::optional<bool> Target::search_apart() {
  const bool is_new = !running_search_.valid();
  if (is_new) running_search_ = search_thread_.run(new_search(), &InterpreterSearch::run);
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
  const auto inner = status && status->numbers ? number(status->numbers->inner) : number(process_->pid());
  main_thread_ = Tid{inner};
  for (auto& runtime : std::exchange(found_, {})) add(std::move(runtime));
  was_python_ = true;
  if (pacer_) return;  // a run that goes on after an exec keeps its schedule
  pacer_.emplace(now, options_.interval, options_.duration, std::random_device{}());
  governor_.emplace(options_.max_overhead, options_.interval, now);
  const auto directory = read_link(process_->proc_path("cwd"));
  recording_.begin(RunInfo{process_->pid(), layout_->version, directory ? *directory : std::string{}});
}

void Target::add(PythonRuntime runtime) {
  runtime.main_thread = main_thread_;
  auto sampler = std::make_unique<InterpreterSampler>(process_->pid(), *memory_, runtime, options_, tracer_,
                                                      preemptor_, recording_);
  interpreters_.push_back({std::move(runtime), std::move(sampler), false});
}

bool Target::take_others() {
  if (running_search_.wait_for(0ms) != std::future_status::ready) return false;
  auto search = running_search_.get();
  finder_ = std::move(search.finder);
  if (!memory_->is_same_program()) return true;  // what was found may be of the next program
  if (search.error) {
    log(LogLayer::sampler, LogLevel::warning, fmt::format("not sampled: {}", search.error->what()));
  }
  for (auto& runtime : search.found) add(std::move(runtime));
  return true;
}

void Target::look_for_others(Clock::time_point now) {
  if (running_search_.valid() && !take_others()) return;
  for (auto& runtime : finder_.look_on(*memory_, now)) {
    runtime.tid_offset = interpreters_.front().runtime.tid_offset;
    add(std::move(runtime));
  }
  drop_ended(now);
  // It is on a thread of its own: a new file may be on a filesystem that does not answer.
  if (finder_.has_new_file())
    running_search_ = search_thread_.run(new_search(), &InterpreterSearch::run_for_others);
}

void Target::drop_ended(Clock::time_point now) {
  // One stays, whatever has become of it: the process may be ending.
  for (std::size_t i = 0; i < interpreters_.size() && interpreters_.size() > 1;) {
    auto& [runtime, sampler, is_missed] = interpreters_[i];
    const bool is_there = sampler->next_give_up() || is_initialised(*memory_, runtime);
    // A list of threads that is just being changed is no end.
    if (is_there || !std::exchange(is_missed, true)) {
      is_missed = !is_there;
      ++i;
      continue;
    }
    sampler->end(now);
    finder_.take_back(runtime);
    interpreters_.erase(interpreters_.begin() + static_cast<std::ptrdiff_t>(i));
  }
}

bool Target::stop_came(Tid tid, HeldThread& held) {
  std::vector<InterpreterSampler*> waiting;
  for (const auto& each : interpreters_) {
    if (each.sampler->waits_for(tid)) waiting.push_back(each.sampler.get());
  }
  if (waiting.empty()) return false;
  const auto before = recording_.held.wall();
  // One thread may be inside several Pythons: the last lets it go.
  for (auto* const sampler : std::span{waiting}.first(waiting.size() - 1))
    sampler->stop_came(tid, std::nullopt);
  waiting.back()->stop_came(tid, std::move(held));
  governor_->add(recording_.held.wall() - before);
  rest_end_ = Clock::now() + rest;
  return true;
}

void Target::thread_ended(Tid tid) {
  for (const auto& each : interpreters_) each.sampler->thread_ended(tid);
}

bool Target::sample_all(Clock::time_point now, Ledger::TickId tick) {
  bool are_others_idle = true;
  for (const auto& each : interpreters_) {
    const bool is_last = &each == &interpreters_.back();
    if (!each.sampler->tick(now, tick, is_last && are_others_idle)) return false;
    are_others_idle = are_others_idle && each.sampler->is_idle();
  }
  return true;
}

bool Target::tick(Clock::time_point now) {
  const auto start = Clock::now();
  const auto before = recording_.held.wall();
  const auto tick = recording_.ledger.open();
  const bool is_same_program = sample_all(now, tick);
  recording_.ledger.release(tick);
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
  // A search that was only slow says what there was.
  const bool is_searching = running_search_.valid();
  if (is_searching && running_search_.wait_for(longest_farewell) == std::future_status::ready) {
    static_cast<void>(take(running_search_.get()));
  }
  lose();
  has_ended_ = is_done_ = true;
}

void Target::settle_late(Clock::time_point now) {
  for (const auto& each : interpreters_) each.sampler->give_up(now);
}

void Target::lose() {
  for (const auto& each : interpreters_) each.sampler->abandon();
  tracer_.forget_lost();
  interpreters_.clear();
  found_.clear();
  is_search_stale_ = running_search_.valid();
  if (!is_search_stale_) finder_.forget();
}

void Target::work(Clock::time_point now) {
  settle_late(now);
  if (is_done_ || now < rest_end_ || waits_for_stop()) return;
  if (interpreters_.empty() && now >= next_search_) {
    next_search_ = now + search_interval(options_.interval);
    const auto has_found = search_apart();
    if (has_found.value_or(false)) {
      now = Clock::now();  // to read 60,000 mappings takes 0.4 s
      begin(now);
    }
    is_lost_ =
        has_found && interpreters_.empty() && was_python_ && now > search_end_ && !has_no_memory(*process_);
    has_ended_ = interpreters_.empty() && !process_->is_alive();
    if (is_lost_ || has_ended_) is_done_ = true;
  } else if (!interpreters_.empty() && (running_search_.valid() || now >= finder_.next_look())) {
    look_for_others(now);
  }
  if (!pacer_) return;
  const auto interval = pacer_->interval();
  const auto due = pacer_->advance(now);
  recording_.ledger.add_late(due.late);
  const bool is_slowed_down = options_.interval == 0ns && interval > 0ns;
  if (due.left_out > 0 || is_slowed_down) recording_.note_widened(interval, due.left_out);
  if (due.is_due && !interpreters_.empty() && !tick(now)) {
    lose();
    search_end_ = now + longest_search;
    has_ended_ = is_done_ = !process_->is_alive();
  } else if (due.is_due && interpreters_.empty()) {
    const auto tick = recording_.ledger.open();
    recording_.ledger.fail(tick,
                           running_search_.valid() ? TickFailure::searching : TickFailure::no_interpreter);
    recording_.ledger.release(tick);
  }
  const auto deadline = pacer_->deadline();
  if (!pacer_->next() && (!deadline || now >= *deadline)) is_done_ = true;
}

std::optional<Target::Clock::time_point> Target::next_give_up() const {
  std::optional<Clock::time_point> next;
  for (const auto& each : interpreters_) {
    const auto its = each.sampler->next_give_up();
    if (its && (!next || *its < *next)) next = its;
  }
  return next;
}

std::optional<Target::Clock::time_point> Target::next_work() const {
  auto next = next_give_up();
  const auto sooner = [&](std::optional<Clock::time_point> at) {
    if (at && (!next || *at < *next)) next = at;
  };
  if (is_done_) return next;
  if (interpreters_.empty()) sooner(next_search_);
  if (pacer_ && !waits_for_stop()) sooner(pacer_->next() ? pacer_->next() : pacer_->deadline());
  return next && *next < rest_end_ ? rest_end_ : next;
}

}  // namespace sampler
