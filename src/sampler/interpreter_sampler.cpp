#include "sampler/sampler/interpreter_sampler.h"

#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace sampler {
namespace {

using namespace std::chrono_literals;

const PythonThread* find_thread(const std::vector<PythonThread>& threads, RemoteAddress state) {
  const auto found = std::find_if(threads.begin(), threads.end(),
                                  [&](const PythonThread& thread) { return thread.state == state; });
  return found == threads.end() ? nullptr : &*found;
}

}  // namespace

InterpreterSampler::InterpreterSampler(Pid pid, ProcessMemory& memory, const PythonRuntime& runtime,
                                       const SamplingOptions& options, Tracer& tracer, Recording& recording)
    : pid_{pid},
      memory_{memory},
      runtime_{runtime},
      options_{options},
      tracer_{tracer},
      recording_{recording},
      gil_{runtime_},
      guard_before_{gil_.ranges(words_)},
      guard_after_{gil_.ranges(words_after_)},
      codes_{runtime_},
      everyone_{memory} {}

bool InterpreterSampler::tick() {
  codes_.begin_tick();
  kept_.clear();
  is_idle_ = false;
  auto& ledger = recording_.ledger;
  const auto tick = ledger.open();
  sample(tick);
  if (!memory_.is_same_program() || (ledger.has_failed(tick) && is_ending())) {
    ledger.cancel(tick);
    return false;
  }
  if (is_idle_) recording_.add(Sample{pid_, Tid{}, StackId::empty, 1, {}});
  for (const auto& reading : kept_) emit(reading, 1);
  ledger.release(tick);
  return true;
}

void InterpreterSampler::sample(Ledger::TickId tick) {
  auto failure = TickFailure::unreadable;
  for (int tries = 0; tries < most_tries; ++tries) {
    auto everyone = read_everyone();
    failure = TickFailure::unreadable;
    if (!everyone) continue;
    failure = TickFailure::no_interpreter;
    if (!everyone->before.is_ready || !everyone->after.is_ready) continue;
    failure = TickFailure::gil_too_busy;
    forget_ended(everyone->threads);
    if (!everyone->before.switches || !everyone->after.switches) {
      return settle_all(tick, everyone->threads, everyone->after);
    }
    // After one switch, only the two threads concerned can have changed anything.
    if (*everyone->after.switches - *everyone->before.switches <= 1) {
      return sample_counted(tick, std::move(*everyone));
    }
  }
  recording_.ledger.fail(tick, failure);
}

void InterpreterSampler::sample_counted(Ledger::TickId tick, Reading everyone) {
  const auto& gil = everyone.after;
  const auto held_it = [&](const PythonThread& thread) {
    return thread.state == everyone.before.last_holder || thread.state == gil.last_holder;
  };
  // A kernel thread that is inside a subinterpreter has several thread states, and moves between them unseen
  // by the GIL's words; and a subinterpreter may have a GIL of its own.
  std::vector<Tid> movers;
  for (const auto& thread : everyone.threads) {
    if (held_it(thread) || !thread.is_of_main_interpreter) movers.push_back(thread.tid);
  }
  const auto is_unproven = [&](const PythonThread& thread) {
    return held_it(thread) || std::find(movers.begin(), movers.end(), thread.tid) != movers.end();
  };
  std::vector<PythonThread> unproven;
  std::copy_if(everyone.threads.begin(), everyone.threads.end(), std::back_inserter(unproven), is_unproven);
  std::copy_if(std::make_move_iterator(everyone.stacks.begin()),
               std::make_move_iterator(everyone.stacks.end()), std::back_inserter(kept_),
               [&](const ThreadReading& reading) { return !is_unproven(reading.thread); });
  settle_all(tick, unproven, gil);
}

void InterpreterSampler::settle_all(Ledger::TickId tick, const std::vector<PythonThread>& threads,
                                    const GilState& gil) {
  is_idle_ = options_.report_idle && gil.holder.is_null();
  for (const auto& thread : threads) {
    const auto activity = activity_of(thread, gil);
    if (is_wanted(activity)) keep(tick, thread, activity, settle(thread, activity.holds_gil));
  }
}

void InterpreterSampler::keep(Ledger::TickId tick, const PythonThread& thread, const ThreadActivity& activity,
                              Settled settled) {
  if (auto* stack = std::get_if<RawStack>(&settled)) {
    kept_.push_back({thread, activity, std::move(*stack)});
    return;
  }
  if (const auto* failure = std::get_if<TickFailure>(&settled)) {
    recording_.ledger.fail(tick, *failure);
    kept_.push_back({thread, activity, RawStack{{}, StackEnd::unreadable}});
    return;
  }
  if (!std::holds_alternative<StopPending>(settled))
    return;  // the thread has ended: there is nothing to sample
  auto pending = std::find_if(pending_.begin(), pending_.end(),
                              [&](const PendingStop& other) { return other.thread == thread; });
  if (pending == pending_.end()) pending = pending_.insert(pending_.end(), PendingStop{thread, activity, {}});
  recording_.ledger.retain(tick);
  pending->ticks.push_back({tick, Clock::now()});
}

InterpreterSampler::Settled InterpreterSampler::settle(const PythonThread& thread, bool holds_gil) {
  // A subinterpreter's state may run on another kernel thread than the one that made it and that it names, so
  // nothing that we know of that thread proves its stack.
  if (!thread.is_of_main_interpreter) return RawStack{{}, StackEnd::unreadable};
  Settled result = TickFailure::not_proven;
  for (int tries = 0; tries < most_tries; ++tries) {
    if (tries > 0) {
      const auto again = read_everyone();
      if (!again) continue;
      // Its state may be gone with the thread, and its memory another's.
      if (std::find(again->threads.begin(), again->threads.end(), thread) == again->threads.end())
        return Gone{};
      holds_gil = again->after.holder == thread.state;
    }
    // A thread that runs without the GIL mostly is about to take it or to block: it is stopped only where it
    // goes on so.
    result = settle_once(thread, holds_gil || tries == most_tries - 1);
    // In a thread that stands still nothing is unreadable, unless its state is gone: that is worth another
    // look.
    const auto* stack = std::get_if<RawStack>(&result);
    const bool is_settled =
        stack != nullptr ? stack->end != StackEnd::unreadable : !std::holds_alternative<TickFailure>(result);
    if (is_settled) break;
  }
  return result;
}

InterpreterSampler::Settled InterpreterSampler::settle_once(const PythonThread& thread, bool may_stop) {
  if (thread.tid == Tid{}) return TickFailure::not_proven;
  // The order matters: a thread that is blocked after the first count of its turns on a CPU, and has the same
  // count at the end, did not run in between.
  const auto turns = watch(thread.tid).turns();
  const auto state = state_of(thread.tid);
  if (!state) return Gone{};
  if (*state == 'R') return may_stop ? settle_by_stop(thread) : TickFailure::not_proven;
  auto stack = read(thread);
  // It may have been on its way to block, and been woken before it was off its CPU: then it runs on without a
  // new turn.
  const bool stood_still = turns && state_of(thread.tid) != 'R' && watch(thread.tid).turns() == turns;
  return stack && stood_still ? Settled{std::move(*stack)} : TickFailure::not_proven;
}

InterpreterSampler::Settled InterpreterSampler::settle_by_stop(const PythonThread& thread) {
  if (tracer_.is_pending(thread.tid)) return StopPending{};
  // Read while it runs, its stack is worth nothing, but tells the blocks to copy at once while the thread is
  // held.
  static_cast<void>(read(thread));
  const bool shares_our_cpu = watch(thread.tid).last_cpu() == ::sched_getcpu();
  const auto start = Clock::now();
  auto attempt = tracer_.hold(thread.tid, shares_our_cpu ? 0us : Tracer::spin_limit);
  if (std::holds_alternative<StopPending>(attempt)) return StopPending{};
  if (const auto* refused = std::get_if<StopRefused>(&attempt)) {
    if (refused->code == ESRCH) return Gone{};
    return TickFailure::already_traced;
  }
  auto stack = read_held(thread, std::move(std::get<HeldThread>(attempt)));
  recording_.held.add(Clock::now() - start);
  return stack ? Settled{std::move(*stack)} : TickFailure::not_proven;
}

std::optional<RawStack> InterpreterSampler::read_held(const PythonThread& thread, HeldThread held) {
  auto stack = read(thread);
  if (held.cut_short_a_call()) recording_.count_interrupted_call();
  return stack;  // the thread runs again here
}

std::optional<RawStack> InterpreterSampler::read(const PythonThread& thread) {
  codes_.begin_reading();
  auto& overlay = overlay_of(thread);
  static_cast<void>(overlay.fetch({}, {}));
  // The thread may have given up its state since it was listed, and another may have got the memory.
  if (thread_number(overlay, runtime_, thread.state) != thread.tid) return std::nullopt;
  return walk_frames(overlay, runtime_, codes_, thread.state);
}

std::optional<InterpreterSampler::Reading> InterpreterSampler::read_everyone() {
  codes_.begin_reading();
  if (!everyone_.fetch(guard_before_, guard_after_)) return std::nullopt;
  Reading reading;
  reading.before = gil_.decode(words_);
  auto list = list_threads(everyone_, runtime_);
  if (list.is_damaged) return std::nullopt;
  reading.threads = std::move(list.threads);
  for (const auto& thread : reading.threads) {
    // Who held the GIL last is not proven by its words: the caller settles that thread by itself.
    if (!reading.before.switches || thread.state == reading.before.last_holder) continue;
    const auto activity = activity_of(thread, reading.before);
    if (!is_wanted(activity)) continue;
    reading.stacks.push_back({thread, activity, walk_frames(everyone_, runtime_, codes_, thread.state)});
  }
  if (everyone_.has_missed()) {
    memory_.read_batch(guard_after_, unread_);
    if (!unread_.empty()) return std::nullopt;
  }
  reading.after = gil_.decode(words_after_);
  return reading;
}

ThreadActivity InterpreterSampler::activity_of(const PythonThread& thread, const GilState& gil) {
  ThreadActivity activity;
  activity.holds_gil = thread.state == gil.holder;
  const bool is_filter = options_.mode == Mode::active || options_.mode == Mode::cpu;
  if (!is_filter && !options_.report_activity) return activity;
  activity.on_cpu = state_of(thread.tid) == 'R';
  if (activity.on_cpu || activity.holds_gil) return activity;
  const auto call = watch(thread.tid).blocked_call();
  activity.waits_for_gil = call && gil_.is_wait_for_gil(*call, words_);
  return activity;
}

bool InterpreterSampler::is_wanted(const ThreadActivity& activity) const {
  switch (options_.mode) {
    case Mode::wall:
      return true;
    case Mode::active:
      return activity.holds_gil || activity.waits_for_gil || activity.on_cpu;
    case Mode::cpu:
      return activity.on_cpu;
    case Mode::gil:
      return activity.holds_gil;
  }
  return true;
}

std::vector<InterpreterSampler::PendingStop> InterpreterSampler::take_pending(Tid tid) {
  std::vector<PendingStop> taken;
  std::erase_if(pending_, [&](PendingStop& pending) {
    if (pending.thread.tid != tid) return false;
    taken.push_back(std::move(pending));
    return true;
  });
  return taken;
}

bool InterpreterSampler::waits_for(Tid tid) const noexcept {
  return std::any_of(pending_.begin(), pending_.end(),
                     [&](const PendingStop& pending) { return pending.thread.tid == tid; });
}

void InterpreterSampler::stop_came(Tid tid, HeldThread held) {
  const auto pending = take_pending(tid);
  codes_.begin_tick();
  std::vector<RawStack> stacks;
  const auto start = Clock::now();
  {
    const auto still = std::move(held);
    for (const auto& thread_state : pending) {
      // Without a stack, the thread has given up its state: it runs no Python there any more.
      stacks.push_back(read(thread_state.thread).value_or(RawStack{}));
    }
    if (still.cut_short_a_call()) recording_.count_interrupted_call();
  }
  recording_.held.add(Clock::now() - start);
  recording_.count_late_stop();
  for (std::size_t i = 0; i < pending.size(); ++i) settle_waiting(pending[i], pending[i].ticks, stacks[i]);
}

void InterpreterSampler::thread_ended(Tid tid) {
  watches_.erase(number(tid));
  for (const auto& pending : take_pending(tid)) {
    for (const auto& waiting : pending.ticks) recording_.ledger.release(waiting.tick);
  }
}

void InterpreterSampler::abandon() {
  for (const auto& pending : pending_) {
    for (const auto& waiting : pending.ticks) recording_.ledger.cancel(waiting.tick);
  }
  pending_.clear();
}

void InterpreterSampler::give_up(Clock::time_point now) {
  const auto has_waited = [&](const Waiting& waiting) { return now - waiting.since >= longest_wait; };
  for (auto& pending : pending_) {
    const auto last = std::find_if_not(pending.ticks.begin(), pending.ticks.end(), has_waited);
    const std::vector<Waiting> ticks(pending.ticks.begin(), last);
    if (ticks.empty()) continue;
    pending.ticks.erase(pending.ticks.begin(), last);
    settle_waiting(pending, ticks, read_interrupted(pending));
  }
  std::erase_if(pending_, [](const PendingStop& pending) { return pending.ticks.empty(); });
}

std::optional<RawStack> InterpreterSampler::read_interrupted(const PendingStop& pending) {
  // An interrupted thread that ran its program would have stopped within microseconds. One that has not
  // stopped for this long is in the kernel or waits for a CPU, and stops before its program goes on: its
  // stack stands still.
  const auto tid = pending.thread.tid;
  codes_.begin_tick();
  tracer_.forget_lost();
  const auto turns = watch(tid).turns();
  auto stack = read(pending.thread);
  const bool stood_still = turns && watch(tid).turns() == turns && tracer_.is_pending(tid);
  return stood_still ? std::move(stack) : std::nullopt;
}

void InterpreterSampler::settle_waiting(const PendingStop& pending, const std::vector<Waiting>& ticks,
                                        const std::optional<RawStack>& stack) {
  if (!memory_.is_same_program() || (!stack && is_ending())) {
    for (const auto& waiting : ticks) recording_.ledger.cancel(waiting.tick);
    return;
  }
  emit({pending.thread, pending.activity, stack.value_or(RawStack{{}, StackEnd::unreadable})}, ticks.size());
  for (const auto& waiting : ticks) {
    if (!stack) recording_.ledger.fail(waiting.tick, TickFailure::stop_timed_out);
    recording_.ledger.release(waiting.tick);
  }
}

std::optional<InterpreterSampler::Clock::time_point> InterpreterSampler::next_give_up() const {
  std::optional<Clock::time_point> next;
  for (const auto& pending : pending_) {
    const auto at = pending.ticks.front().since + longest_wait;
    if (!next || at < *next) next = at;
  }
  return next;
}

void InterpreterSampler::emit(const ThreadReading& reading, std::uint64_t count) {
  const auto& [thread, activity, stack] = reading;
  if (stack.frames.empty() && stack.end == StackEnd::complete) return;  // it runs no Python
  if (stack.end == StackEnd::too_deep) recording_.count_too_deep(count);
  if (stack.end == StackEnd::unreadable) recording_.count_unreadable(count);
  const auto id = decode_stack(stack, *runtime_.layout, recording_.stacks);
  recording_.add(Sample{pid_, thread.tid, id, count, activity});
}

bool InterpreterSampler::is_ending() {
  const auto state = state_of(Tid{number(pid_)});
  return !state || *state == 'Z' || *state == 'X';
}

ThreadWatch& InterpreterSampler::watch(Tid tid) {
  return watches_.try_emplace(number(tid), pid_, tid).first->second;
}

std::optional<char> InterpreterSampler::state_of(Tid tid) {
  if (const auto state = watch(tid).state()) return state;
  // The number may belong to another thread by now than the one whose files are open.
  watches_.erase(number(tid));
  return watch(tid).state();
}

Overlay& InterpreterSampler::overlay_of(const PythonThread& thread) {
  auto& overlay = overlays_[thread.state.value];
  if (!overlay) overlay = std::make_unique<Overlay>(memory_, 0);
  return *overlay;
}

void InterpreterSampler::forget_ended(const std::vector<PythonThread>& threads) {
  const auto most = 2 * threads.size() + 64;
  if (overlays_.size() > most) {
    std::erase_if(overlays_,
                  [&](const auto& entry) { return find_thread(threads, {entry.first}) == nullptr; });
  }
  if (watches_.size() > most) {
    std::erase_if(watches_, [&](const auto& entry) {
      return std::none_of(threads.begin(), threads.end(),
                          [&](const PythonThread& thread) { return number(thread.tid) == entry.first; });
    });
  }
}

}  // namespace sampler
