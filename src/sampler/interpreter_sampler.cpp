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
  const auto tick = recording_.ledger.open();
  sample(tick);
  if (!memory_.is_same_program()) {
    recording_.ledger.cancel(tick);
    return false;
  }
  for (const auto& reading : kept_) emit(reading, 1);
  recording_.ledger.release(tick);
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
    if (!everyone->before.switches) return sample_uncounted(tick, *everyone);
    failure = TickFailure::gil_too_busy;
    // After one switch, only the two threads concerned can have changed anything.
    if (*everyone->after.switches - *everyone->before.switches <= 1)
      return sample_counted(tick, std::move(*everyone));
  }
  recording_.ledger.fail(tick, failure);
}

void InterpreterSampler::sample_counted(Ledger::TickId tick, Reading everyone) {
  const auto& gil = everyone.after;
  std::erase_if(everyone.stacks,
                [&](const ThreadReading& reading) { return reading.thread.state == gil.last_holder; });
  std::move(everyone.stacks.begin(), everyone.stacks.end(), std::back_inserter(kept_));
  if (options_.report_idle && gil.holder.is_null()) emit_idle();

  std::vector<RemoteAddress> unproven{everyone.before.last_holder};
  if (gil.last_holder != everyone.before.last_holder) unproven.push_back(gil.last_holder);
  for (const auto state : unproven) {
    const auto* thread = find_thread(everyone.threads, state);
    if (thread == nullptr) continue;
    const auto activity = activity_of(*thread, gil);
    if (!is_wanted(activity)) continue;
    keep(tick, *thread, activity, Scope::thread, settle(*thread, activity.holds_gil, Scope::thread));
  }
  forget_ended(everyone.threads);
}

void InterpreterSampler::sample_uncounted(Ledger::TickId tick, const Reading& everyone) {
  const auto scope = options_.mode == Mode::gil ? Scope::thread : Scope::everyone;
  auto gil = std::optional{everyone.after};
  for (int tries = 0; tries < most_tries && gil; ++tries, gil = read_gil()) {
    if (gil->holder.is_null() && scope == Scope::thread) {
      if (options_.report_idle) emit_idle();
      return;
    }
    if (gil->holder.is_null()) {
      auto readings = read_twice(PythonThread{}, scope);
      if (!readings) continue;
      return keep(tick, {}, {}, scope, std::move(*readings));
    }
    const auto* holder = find_thread(everyone.threads, gil->holder);
    if (holder == nullptr) continue;
    auto settled = settle(*holder, true, scope);
    const auto* failure = std::get_if<TickFailure>(&settled);
    if (failure != nullptr && *failure == TickFailure::not_proven) continue;
    return keep(tick, *holder, activity_of(*holder, *gil), scope, std::move(settled));
  }
  recording_.ledger.fail(tick, TickFailure::gil_too_busy);
}

void InterpreterSampler::keep(Ledger::TickId tick, const PythonThread& thread, const ThreadActivity& activity,
                              Scope scope, Settled settled) {
  if (auto* readings = std::get_if<std::vector<ThreadReading>>(&settled)) {
    for (auto& reading : *readings) {
      if (scope == Scope::thread) reading.activity = activity;
      kept_.push_back(std::move(reading));
    }
    return;
  }
  if (const auto* failure = std::get_if<TickFailure>(&settled)) {
    recording_.ledger.fail(tick, *failure);
    emit_unreadable(thread, activity);
    return;
  }
  if (!std::holds_alternative<StopPending>(settled))
    return;  // the thread has ended: there is nothing to sample
  auto pending = find_pending(thread.tid);
  if (pending == pending_.end()) {
    pending = pending_.insert(pending_.end(), PendingStop{thread, activity, scope, {}});
  }
  recording_.ledger.retain(tick);
  pending->ticks.push_back({tick, Clock::now()});
}

InterpreterSampler::Settled InterpreterSampler::settle(const PythonThread& thread, bool holds_gil,
                                                       Scope scope) {
  // Everyone's stacks are proven by who holds the GIL: where that changes, the caller starts anew.
  const int tries = scope == Scope::everyone ? 1 : most_tries;
  for (int i = 0; i < tries; ++i) {
    if (i > 0) {
      const auto gil = read_gil();
      holds_gil = gil && gil->holder == thread.state;
    }
    if (thread.tid == Tid{}) {
      if (auto readings = read_twice(thread, scope)) return std::move(*readings);
      continue;
    }
    // The order matters: a thread that is blocked after the first count and has the same count at the end did
    // not run in between.
    const auto turns = watch(thread.tid).times_switched_in();
    const auto state = state_of(thread.tid);
    if (!state) return Gone{};
    const bool runs = *state == 'R';
    if (runs && holds_gil) return settle_by_stop(thread, scope);
    if (runs || !turns) {
      if (auto readings = read_twice(thread, scope)) return std::move(*readings);
      continue;
    }
    auto readings = read(thread, scope);
    if (readings && watch(thread.tid).times_switched_in() == turns) return std::move(*readings);
  }
  return TickFailure::not_proven;
}

InterpreterSampler::Settled InterpreterSampler::settle_by_stop(const PythonThread& thread, Scope scope) {
  if (tracer_.is_pending(thread.tid)) return StopPending{};
  // A thread that was never read alone would be held while its blocks are found out one by one.
  if (scope == Scope::thread && overlay_of(thread).is_cold()) static_cast<void>(read(thread, scope));
  const bool shares_our_cpu = watch(thread.tid).last_cpu() == ::sched_getcpu();
  const auto start = Clock::now();
  auto attempt = tracer_.hold(thread.tid, shares_our_cpu ? 0us : Tracer::spin_limit);
  if (std::holds_alternative<StopPending>(attempt)) return StopPending{};
  if (const auto* refused = std::get_if<StopRefused>(&attempt)) {
    if (refused->code == ESRCH) return Gone{};
    return TickFailure::already_traced;
  }
  auto readings = read_held(thread, scope, std::move(std::get<HeldThread>(attempt)));
  recording_.held.add(Clock::now() - start);
  if (!readings) return TickFailure::not_proven;
  return std::move(*readings);
}

InterpreterSampler::Readings InterpreterSampler::read_held(const PythonThread& thread, Scope scope,
                                                           HeldThread held) {
  auto readings = read(thread, scope);
  if (held.cut_short_a_call()) recording_.count_interrupted_call();
  return readings;  // the thread runs again here
}

InterpreterSampler::Readings InterpreterSampler::read(const PythonThread& thread, Scope scope) {
  if (scope == Scope::everyone) {
    auto everyone = read_everyone();
    if (!everyone || everyone->before != everyone->after || everyone->before.holder != thread.state) {
      return std::nullopt;
    }
    return std::move(everyone->stacks);
  }
  codes_.begin_reading();
  auto& overlay = overlay_of(thread);
  static_cast<void>(overlay.fetch({}, {}));
  std::vector<ThreadReading> readings;
  readings.push_back({thread, {}, walk_frames(overlay, runtime_, codes_, thread.state)});
  return readings;
}

InterpreterSampler::Readings InterpreterSampler::read_twice(const PythonThread& thread, Scope scope) {
  const auto before = read_gil();
  const auto first = read(thread, scope);
  auto second = read(thread, scope);
  const auto after = read_gil();
  if (!first || !second || !before || before != after) return std::nullopt;
  if (scope == Scope::thread && before->holder == thread.state) return std::nullopt;
  const bool are_equal = std::equal(first->begin(), first->end(), second->begin(), second->end(),
                                    [](const ThreadReading& a, const ThreadReading& b) {
                                      return a.thread == b.thread && a.stack == b.stack;
                                    });
  return are_equal ? std::move(second) : std::nullopt;
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
    if (reading.before.switches && thread.state == reading.before.last_holder) continue;
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

std::optional<GilState> InterpreterSampler::read_gil() {
  memory_.read_batch(guard_after_, unread_);
  if (!unread_.empty()) return std::nullopt;
  return gil_.decode(words_after_);
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

bool InterpreterSampler::stop_came(Tid tid, HeldThread held) {
  const auto entry = find_pending(tid);
  if (entry == pending_.end()) return false;
  const auto pending = std::move(*entry);
  pending_.erase(entry);
  codes_.begin_tick();
  const auto start = Clock::now();
  const auto readings = read_held(pending.thread, pending.scope, std::move(held));
  recording_.held.add(Clock::now() - start);
  recording_.count_late_stop();
  settle_waiting(pending, pending.ticks, readings, TickFailure::gil_too_busy);
  return true;
}

void InterpreterSampler::thread_ended(Tid tid) {
  watches_.erase(number(tid));
  const auto entry = find_pending(tid);
  if (entry == pending_.end()) return;
  for (const auto& waiting : entry->ticks) recording_.ledger.release(waiting.tick);
  pending_.erase(entry);
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
    settle_waiting(pending, ticks, read_interrupted(pending), TickFailure::stop_timed_out);
  }
  std::erase_if(pending_, [](const PendingStop& pending) { return pending.ticks.empty(); });
}

InterpreterSampler::Readings InterpreterSampler::read_interrupted(const PendingStop& pending) {
  // An interrupted thread that ran its program would have stopped within microseconds. One that has not
  // stopped for this long is in the kernel or waits for a CPU, and stops before its program goes on: its
  // stack stands still.
  const auto tid = pending.thread.tid;
  codes_.begin_tick();
  const auto turns = watch(tid).times_switched_in();
  auto readings = read(pending.thread, pending.scope);
  const bool stood_still = turns && watch(tid).times_switched_in() == turns && tracer_.is_pending(tid);
  return stood_still ? std::move(readings) : std::nullopt;
}

void InterpreterSampler::settle_waiting(const PendingStop& pending, const std::vector<Waiting>& ticks,
                                        const Readings& readings, TickFailure otherwise) {
  const bool is_proven = readings && memory_.is_same_program();
  for (auto reading : is_proven ? *readings : std::vector<ThreadReading>{}) {
    if (pending.scope == Scope::thread) reading.activity = pending.activity;
    emit(reading, ticks.size());
  }
  for (const auto& waiting : ticks) {
    if (!is_proven) {
      recording_.ledger.fail(waiting.tick, otherwise);
      emit_unreadable(pending.thread, pending.activity);
    }
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

void InterpreterSampler::emit_unreadable(const PythonThread& thread, const ThreadActivity& activity) {
  recording_.count_unreadable(1);
  recording_.add(Sample{pid_, thread.tid, unreadable_stack(recording_.stacks), 1, activity});
}

void InterpreterSampler::emit_idle() {
  recording_.add(Sample{pid_, Tid{}, StackId::empty, 1, {}});
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
  if (!overlay) overlay = std::make_unique<Overlay>(memory_);
  return *overlay;
}

std::vector<InterpreterSampler::PendingStop>::iterator InterpreterSampler::find_pending(Tid tid) {
  return std::find_if(pending_.begin(), pending_.end(),
                      [&](const PendingStop& pending) { return pending.thread.tid == tid; });
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
