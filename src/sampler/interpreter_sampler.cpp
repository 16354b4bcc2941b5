#include "sampler/sampler/interpreter_sampler.h"

#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <unordered_set>
#include <utility>

namespace sampler {
namespace {

using namespace std::chrono_literals;

const PythonThread* find_thread(const std::vector<PythonThread>& threads, RemoteAddress state) {
  const auto found = std::find_if(threads.begin(), threads.end(),
                                  [&](const PythonThread& thread) { return thread.state == state; });
  return found == threads.end() ? nullptr : &*found;
}

/// The first thread state of each kernel thread; all that no thread can be told for.
std::vector<PythonThread> one_per_thread(const std::vector<PythonThread>& threads) {
  std::vector<PythonThread> ones;
  std::unordered_set<pid_t> seen;
  for (const auto& thread : threads) {
    if (thread.tid == Tid{} || seen.insert(number(thread.tid)).second) ones.push_back(thread);
  }
  return ones;
}

/// A subinterpreter's state that nothing tells the thread of: it may run on any. A main interpreter's has not
/// begun to run.
bool is_unplaced(const PythonThread& thread) {
  return thread.tid == Tid{} && thread.interpreter != 0;
}

/// No GIL changed hands more than once.
bool are_settled(const std::vector<GilState>& before, const std::vector<GilState>& after) {
  return std::equal(before.begin(), before.end(), after.begin(), after.end(),
                    [](const GilState& a, const GilState& b) { return *b.switches - *a.switches <= 1; });
}

bool count_switches(const std::vector<GilState>& gils) {
  return std::all_of(gils.begin(), gils.end(), [](const GilState& gil) { return gil.switches.has_value(); });
}

bool are_ready(const std::vector<GilState>& gils) {
  return std::all_of(gils.begin(), gils.end(), [](const GilState& gil) { return gil.is_ready; });
}

bool held_last(const std::vector<GilState>& gils, RemoteAddress state) {
  return std::any_of(gils.begin(), gils.end(), [&](const GilState& gil) { return gil.last_holder == state; });
}

}  // namespace

InterpreterSampler::InterpreterSampler(const Process& process, ProcessMemory& memory, PythonRuntime runtime,
                                       const SamplingOptions& options, Tracer& tracer, Preemptor& preemptor,
                                       Recording& recording)
    : process_{process},
      pid_{process.pid()},
      memory_{memory},
      runtime_{std::move(runtime)},
      options_{options},
      tracer_{tracer},
      preemptor_{preemptor},
      recording_{recording},
      numbers_{pid_},
      gils_{runtime_},
      codes_{runtime_},
      everyone_{memory},
      code_objects_{memory},
      holder_{memory} {
  if (options_.hold == Hold::none) codes_.let_all_wait();
}

bool InterpreterSampler::tick(Clock::time_point now) {
  now_ = now;
  forget_copied();
  numbers_.begin_tick();
  is_idle_ = false;
  auto& ledger = recording_.ledger;
  const auto tick = ledger.open();
  unconfirmed_.push_back(tick);
  sample(tick);
  if (is_idle_) kept_.push_back({});
  const bool has_failed = ledger.has_failed(tick);
  if (has_failed && is_ending()) {
    cancel_unconfirmed();
    return false;
  }
  return has_failed || must_confirm(now) ? confirm(now) : true;
}

void InterpreterSampler::forget_copied() {
  codes_.begin_tick();
  placed_.clear();
  frames_left_ = most_frames_at_once;
}

RawStack InterpreterSampler::walk(Overlay& overlay, RemoteAddress state) {
  if (frames_left_ == 0) return RawStack{{}, StackEnd::unreadable, {}};
  auto stack = walk_frames(overlay, runtime_, codes_, state);
  frames_left_ -= std::min(frames_left_, stack.frames.size());
  return stack;
}

bool InterpreterSampler::must_confirm(Clock::time_point now) const {
  return options_.interval >= confirm_interval || now - confirmed_at_ >= confirm_interval;
}

bool InterpreterSampler::confirm(Clock::time_point now) {
  if (codes_.must_confirm()) static_cast<void>(code_objects_.fetch({}, {}));
  const bool are_same = codes_.confirm(code_objects_);
  if (!memory_.is_same_program()) {
    cancel_unconfirmed();
    return false;
  }
  keep_standing();
  if (!are_same) standing_.reset();
  confirmed_at_ = now;
  for (auto& kept : std::exchange(kept_, {})) {
    if (!are_same) kept.mark_unreadable(recording_.stacks);
    emit(kept);
  }
  auto& ledger = recording_.ledger;
  for (const auto tick : std::exchange(unconfirmed_, {})) {
    if (!are_same) ledger.fail(tick, TickFailure::not_proven);
    ledger.release(tick);
  }
  return true;
}

void InterpreterSampler::cancel_unconfirmed() {
  for (const auto tick : std::exchange(unconfirmed_, {})) recording_.ledger.cancel(tick);
  kept_.clear();
  standing_.reset();
}

void InterpreterSampler::sample(Ledger::TickId tick) {
  if (sample_holder(tick)) return;
  if (options_.hold == Hold::none) return sample_unheld(tick);
  auto failure = TickFailure::unreadable;
  for (int tries = 0; tries < most_tries; ++tries) {
    frames_left_ = most_frames_at_once;
    const auto bystanders = look_at_bystanders();
    auto everyone = read_everyone(bystanders);
    failure = TickFailure::unreadable;
    if (!everyone) continue;
    failure = TickFailure::no_interpreter;
    if (!are_ready(everyone->before) || !are_ready(everyone->after)) continue;
    failure = TickFailure::gil_too_busy;
    forget_ended(everyone->threads);
    // After one switch, only the two threads concerned can have changed anything.
    if (is_counted(*everyone) && !are_settled(everyone->before, everyone->after)) continue;
    return sample_read(tick, std::move(*everyone), bystanders);
  }
  recording_.ledger.fail(tick, failure);
}

void InterpreterSampler::sample_unheld(Ledger::TickId tick) {
  std::optional<Reading> best;
  auto failure = TickFailure::unreadable;
  for (int tries = 0; tries < most_unheld_tries; ++tries) {
    best.reset();  // the lasting stacks are those of this reading now
    frames_left_ = most_frames_at_once;
    auto everyone = read_everyone();
    failure = TickFailure::unreadable;
    if (!everyone) continue;
    failure = TickFailure::gil_too_busy;
    const bool is_counted = count_switches(everyone->before) && count_switches(everyone->after);
    // Of several switches any thread may have been part; those who did not hold the GIL are to be proven.
    if (is_counted && !are_settled(everyone->before, everyone->after)) continue;
    best = std::move(everyone);
    if (is_whole(*best)) break;
  }
  if (!best) return recording_.ledger.fail(tick, failure);
  forget_ended(best->threads);
  is_idle_ = is_idle(best->threads, best->after);
  keep_proven(*best);
  for (const auto& thread : best->threads) {
    if (is_unplaced(thread)) settle_unplaced(tick, thread, {});
  }
}

bool InterpreterSampler::sample_holder(Ledger::TickId tick) {
  if (!standing_) return false;
  const bool is_recent = now_ - standing_->since <= longest_standing;
  if (is_recent && fetch_holder() && keep_holder(tick)) {
    ++standing_->ticks;
    return true;
  }
  keep_standing();
  standing_.reset();
  return false;
}

bool InterpreterSampler::fetch_holder() {
  codes_.begin_reading();
  if (!holder_.fetch(gils_.before(), {}) || gils_.state_before() != standing_->gils) return false;
  if (interpreters_.size() != 1) return false;
  const auto& layout = *runtime_.layout;
  // Up to 3.11 a thread may enter a new subinterpreter, and the GIL's words stay as they are.
  if (layout.traits.gil != GilKind::in_interpreter) {
    const auto head = read_as<RemoteAddress>(holder_, runtime_.interpreters_head);
    if (!head || *head != interpreters_.front().state) return false;
  }
  // The memory of its state may be another thread's by now, without a change of the words. Where the state
  // has the thread's number itself, that is one piece less to copy.
  const auto& holder = standing_->holder;
  const auto number = standing_->native_number;
  return number != Tid{} ? native_thread_number(holder_, layout, holder.state) == number
                         : !names_another(holder_, holder);
}

bool InterpreterSampler::keep_holder(Ledger::TickId tick) {
  if (options_.hold == Hold::none) return keep_unheld_holder();
  const auto& holder = standing_->holder;
  keep(tick, holder, {.holds_gil = true}, settle(holder, true));
  return true;
}

bool InterpreterSampler::keep_unheld_holder() {
  auto& stack = holder_stack_.stack;
  for (int tries = 0; tries < most_unheld_tries; ++tries) {
    if (tries > 0 && !fetch_holder()) return false;
    walk(holder_stack_, holder_, standing_->holder.state);
    if (stack.end() != StackEnd::torn && !holder_.has_missed()) break;
  }
  kept_.push_back({standing_->holder,
                   {.holds_gil = true},
                   stack.decode(*runtime_.layout, recording_.stacks),
                   stack.end()});
  return true;
}

void InterpreterSampler::note_standing(const Reading& everyone, std::span<const Kept> stacks) {
  const auto& [before, after, threads, lasting, parts] = everyone;
  const bool may_stand = options_.interval < longest_standing && options_.mode == Mode::wall &&
                         !options_.report_activity && interpreters_.size() == 1 && before.size() == 1 &&
                         before == after && before.front().switches;
  const auto* const holder = may_stand ? find_thread(threads, before.front().holder) : nullptr;
  if (holder == nullptr || holder->tid == Tid{}) return;
  // Between two states of its own a thread may change without the GIL's words.
  const auto is_its = [&](const PythonThread& thread) { return thread.tid == holder->tid; };
  if (std::count_if(threads.begin(), threads.end(), is_its) > 1) return;
  const auto native_number = native_thread_number(everyone_, *runtime_.layout, holder->state);
  Standing standing{before, *holder, native_number, {}, now_};
  for (const auto& kept : stacks) {
    if (kept.thread.state == holder->state) continue;
    if (kept.end != StackEnd::complete) return;
    standing.others.push_back(kept);
  }
  standing_ = std::move(standing);
  holder_stack_.stack.forget();
}

void InterpreterSampler::keep_standing() {
  const auto ticks = standing_ ? std::exchange(standing_->ticks, 0) : 0;
  if (ticks == 0) return;
  for (auto kept : standing_->others) {
    kept.count = ticks;
    kept_.push_back(kept);
  }
}

bool InterpreterSampler::is_whole(const Reading& everyone) const {
  return !everyone_.has_missed() &&
         std::none_of(everyone.lasting.begin(), everyone.lasting.end(), [](const LastingReading& reading) {
           return reading.lasting != nullptr && reading.lasting->stack.end() == StackEnd::torn;
         });
}

InterpreterSampler::Bystanders InterpreterSampler::look_at_bystanders() {
  Bystanders bystanders;
  // What the other modes keep mostly runs.
  if (options_.mode != Mode::wall) return bystanders;
  for (const auto& thread : last_unproven_) {
    if (thread.tid == Tid{}) continue;
    // The order matters, as in settle_once().
    const auto turns = watch(thread.tid).turns();
    const auto state = state_of(thread.tid);
    if (!turns || !state || *state == 'R' || watch(thread.tid).is_on_cpu()) continue;
    bystanders.emplace(thread.state.value, Bystander{thread, *turns});
  }
  return bystanders;
}

bool InterpreterSampler::stood_by(const Bystanders& bystanders, const LastingReading& reading,
                                  const std::vector<GilState>& after) {
  const auto& [thread, activity, lasting] = reading;
  if (lasting == nullptr) return false;
  const auto found = bystanders.find(thread.state.value);
  if (found == bystanders.end() || !(found->second.thread == thread)) return false;
  // Of a blocked holder more is to be asked.
  if (activity.holds_gil || is_holder(after, thread.state)) return false;
  if (lasting->stack.end() == StackEnd::unreadable) return false;
  const auto bounds = c_stack_of(everyone_, thread);
  const bool is_elsewhere =
      bounds && !lasting->stack.c_stack().is_null() && !bounds->may_hold(lasting->stack.c_stack());
  return !is_elsewhere && has_stood_still(thread.tid, found->second.turns);
}

bool InterpreterSampler::is_counted(const Reading& everyone) const {
  return gils_.has_gil() && count_switches(everyone.before) && count_switches(everyone.after);
}

std::vector<PythonThread> InterpreterSampler::unproven_of(const Reading& everyone) const {
  if (!gils_.has_gil()) return one_per_thread(everyone.threads);
  // Which thread changes frames is not told by words that name a state that nobody has, or that any may run.
  const bool is_untold = !is_counted(everyone) || has_moving_states() ||
                         names_no_thread(everyone.before, everyone.threads) ||
                         names_no_thread(everyone.after, everyone.threads);
  if (is_untold) return everyone.threads;
  // A kernel thread that is inside several interpreters moves between its thread states, which the GIL's
  // words do not always show: what one of them could have changed, so could the others.
  std::vector<Tid> movers;
  for (const auto& thread : everyone.threads) {
    if (held_last(everyone.before, thread.state) || held_last(everyone.after, thread.state)) {
      movers.push_back(thread.tid);
    }
  }
  std::vector<PythonThread> unproven;
  std::copy_if(everyone.threads.begin(), everyone.threads.end(), std::back_inserter(unproven),
               [&](const PythonThread& thread) {
                 return is_unplaced(thread) ||
                        std::find(movers.begin(), movers.end(), thread.tid) != movers.end();
               });
  return unproven;
}

void InterpreterSampler::sample_read(Ledger::TickId tick, Reading everyone, const Bystanders& bystanders) {
  is_idle_ = is_idle(everyone.threads, everyone.after);
  auto unproven = unproven_of(everyone);
  std::unordered_set<std::uint64_t> open;  // the states of unproven
  for (const auto& thread : unproven) open.insert(thread.state.value);
  last_unproven_.clear();
  if (interpreters_.size() < 2) last_unproven_ = unproven;
  const bool is_proven = is_counted(everyone);  // whoever is not among unproven
  std::erase_if(everyone.parts, [&](const ThreadReading& part) {
    return !is_proven || open.contains(part.thread.state.value);
  });
  std::erase_if(everyone.lasting, [&](const LastingReading& reading) {
    const auto state = reading.thread.state.value;
    if (!open.contains(state)) return !is_proven;
    if (!stood_by(bystanders, reading, everyone.after)) return true;
    open.erase(state);
    return false;
  });
  std::erase_if(unproven, [&](const auto& thread) { return !open.contains(thread.state.value); });
  keep_proven(everyone);
  if (gils_.has_gil()) {
    settle_all(tick, unproven, everyone.after);
  } else {
    settle_together(tick, unproven);
  }
}

bool InterpreterSampler::has_moving_states() const {
  return interpreters_.size() > 1 && runtime_.layout->traits.state_thread == StateThread::untold;
}

bool InterpreterSampler::names_no_thread(const std::vector<GilState>& gils,
                                         const std::vector<PythonThread>& threads) const {
  const auto& traits = runtime_.layout->traits;
  // From 3.12 on each move between thread states is one of the GIL too.
  if (traits.gil == GilKind::in_interpreter) return false;
  return std::any_of(gils.begin(), gils.end(), [&](const GilState& gil) {
    if (gil.last_holder.is_null()) return false;
    const auto* holder = find_thread(threads, gil.last_holder);
    if (holder == nullptr) return !gil.holder.is_null();
    return holder->interpreter != 0 && traits.state_thread != StateThread::named;
  });
}

void InterpreterSampler::keep_proven(Reading& reading) {
  const auto first = kept_.size();
  for (const auto& [thread, activity, lasting] : reading.lasting) {
    if (lasting == nullptr) {
      keep(thread, activity, RawStack{{}, StackEnd::unreadable, {}});
      continue;
    }
    auto& stack = lasting->stack;
    kept_.push_back({thread, activity, stack.decode(*runtime_.layout, recording_.stacks), stack.end()});
  }
  auto& parts = reading.parts;
  while (!parts.empty()) {
    const auto thread = parts.front().thread;
    const auto activity = parts.front().activity;
    std::vector<InterpreterStack> its;
    std::erase_if(parts, [&](ThreadReading& part) {
      const bool is_its = part.thread.tid == thread.tid && (thread.tid != Tid{} || part.thread == thread);
      if (is_its) its.push_back({part.thread.interpreter, std::move(part.stack)});
      return is_its;
    });
    keep(thread, activity, join_stacks(std::move(its)));
  }
  note_standing(reading, std::span{kept_}.subspan(first));
}

void InterpreterSampler::keep(const PythonThread& thread, const ThreadActivity& activity,
                              const RawStack& stack) {
  kept_.push_back({thread, activity, decode_stack(stack, *runtime_.layout, recording_.stacks), stack.end});
}

void InterpreterSampler::settle_all(Ledger::TickId tick, const std::vector<PythonThread>& threads,
                                    const std::vector<GilState>& gils) {
  const bool is_untold = names_no_thread(gils, threads);
  const auto holds = [&](Tid tid) {
    // Somebody has the GIL, and the words do not tell who: whoever runs may.
    if (is_untold && gils.front().holder != RemoteAddress{} && state_of(tid) == 'R') return true;
    return std::any_of(threads.begin(), threads.end(), [&](const PythonThread& thread) {
      return thread.tid == tid && is_holder(gils, thread.state);
    });
  };
  // With several interpreters all of a thread's states are settled with one. With one interpreter a thread
  // that starts another has two for a while: the other's names its maker until the other runs (up to 3.11).
  auto ones = interpreters_.size() < 2 ? threads : one_per_thread(threads);
  // What no thread turns out to run comes last.
  std::stable_partition(ones.begin(), ones.end(),
                        [](const PythonThread& thread) { return !is_unplaced(thread); });
  for (const auto& thread : ones) {
    auto activity = activity_of(thread, gils);
    activity.holds_gil = activity.holds_gil || holds(thread.tid);
    if (!is_wanted(activity)) continue;
    if (is_unplaced(thread)) {
      settle_unplaced(tick, thread, activity);
    } else {
      keep(tick, thread, activity, settle(thread, activity.holds_gil));
    }
  }
}

void InterpreterSampler::settle_together(Ledger::TickId tick, const std::vector<PythonThread>& threads) {
  std::vector<Subject> running;
  std::vector<Subject> blocked;
  for (const auto& thread : threads) {
    auto activity = activity_of(thread, {});
    activity.holds_gil = std::any_of(threads_.begin(), threads_.end(), [&](const PythonThread& other) {
      return other.tid == thread.tid && is_attached(other.state);
    });
    if (!is_wanted(activity)) continue;
    if (thread.tid == Tid{}) {
      const bool is_empty = walk_frames(everyone_, runtime_, codes_, thread.state).frames.empty();
      if (!is_empty) keep(tick, thread, activity, RawStack{{}, StackEnd::unreadable, {}});
      continue;
    }
    // The order matters, as in settle_once().
    const auto turns = watch(thread.tid).turns();
    const auto place = place_of(thread.tid);
    if (!place) {
      if (watch(thread.tid).lacks_files()) keep(tick, thread, activity, TickFailure::out_of_files);
      continue;
    }
    if (place->state == 'R') {
      if (may_join(tick, thread, activity, *place))
        running.push_back({thread, activity, {}, TickFailure::not_proven});
      continue;
    }
    const bool is_off_cpu = !watch(thread.tid).is_on_cpu();
    blocked.push_back({thread, activity, is_off_cpu ? turns : std::nullopt, TickFailure::not_proven});
    if (auto stack = read(thread)) blocked.back().settled = std::move(*stack);
  }
  read_together(running);
  for (auto& [thread, activity, turns, settled] : blocked) {
    if (!has_stood_still(thread.tid, turns)) settled = TickFailure::not_proven;
  }
  std::move(blocked.begin(), blocked.end(), std::back_inserter(running));
  for (auto& [thread, activity, turns, settled] : running) {
    const bool is_open = std::holds_alternative<TickFailure>(settled) &&
                         std::get<TickFailure>(settled) == TickFailure::not_proven;
    keep(tick, thread, activity, is_open ? settle(thread, true) : std::move(settled));
  }
}

bool InterpreterSampler::may_join(Ledger::TickId tick, const PythonThread& thread,
                                  const ThreadActivity& activity, const ThreadPlace& place) {
  if (tracer_.is_pending(thread.tid)) {
    keep(tick, thread, activity, StopPending{});
    return false;
  }
  foresee(thread);
  if (spin_for(place) != 0us) return true;
  // It shares our CPU, and cannot stop while we wait for the others.
  const auto start = Clock::now();
  auto attempt = tracer_.hold(thread.tid, 0us);
  if (!std::holds_alternative<HeldThread>(attempt)) {
    keep(tick, thread, activity, unheld(attempt));
    return false;
  }
  let_go(attempt, start);
  return true;
}

void InterpreterSampler::let_go(StopAttempt& attempt, Clock::time_point start) {
  {
    const auto held = std::move(std::get<HeldThread>(attempt));
    if (held.cut_short_a_call()) recording_.count_interrupted_call();
  }  // the thread runs again here
  recording_.held.add(start, Clock::now());
}

void InterpreterSampler::read_together(std::vector<Subject>& running) {
  if (running.empty()) return;
  std::vector<Tid> tids;
  tids.reserve(running.size());
  for (const auto& subject : running) tids.push_back(subject.thread.tid);
  const auto start = Clock::now();
  auto attempts = tracer_.hold_all(tids);
  for (std::size_t i = 0; i < running.size(); ++i) {
    if (std::holds_alternative<HeldThread>(attempts[i])) {
      if (auto stack = read(running[i].thread)) running[i].settled = std::move(*stack);
    } else {
      running[i].settled = unheld(attempts[i]);
    }
  }
  for (auto& attempt : attempts) {
    if (std::holds_alternative<HeldThread>(attempt)) let_go(attempt, start);
  }
}

void InterpreterSampler::keep(Ledger::TickId tick, const PythonThread& thread, const ThreadActivity& activity,
                              Settled settled) {
  if (auto* stack = std::get_if<RawStack>(&settled)) {
    keep(thread, activity, *stack);
    return;
  }
  if (const auto* failure = std::get_if<TickFailure>(&settled)) {
    recording_.ledger.fail(tick, *failure);
    keep(thread, activity, RawStack{{}, StackEnd::unreadable, {}});
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

void InterpreterSampler::settle_unplaced(Ledger::TickId tick, const PythonThread& thread,
                                         const ThreadActivity& activity) {
  // Where nobody knows which thread runs a state, nothing proves its stack; unless it has none.
  const auto stack = walk(everyone_, thread.state);
  const bool runs_nothing = stack.frames.empty() && stack.end == StackEnd::complete;
  if (runs_nothing || is_placed(thread.state)) return;
  if (is_open(tick)) {
    unplaced_.push_back({thread, activity, tick});
  } else {
    keep(thread, activity, RawStack{{}, StackEnd::unreadable, {}});
  }
}

void InterpreterSampler::settle_unplaced(const std::vector<Waiting>& ticks) {
  for (const auto& waiting : ticks) {
    std::erase_if(unplaced_, [&](const UnplacedState& state) {
      if (state.tick != waiting.tick) return false;
      if (is_placed(state.thread.state)) return true;
      if (is_open(state.tick)) return false;
      emit({state.thread, state.activity, unreadable_stack(recording_.stacks), StackEnd::unreadable});
      return true;
    });
  }
}

void InterpreterSampler::forget_unplaced(const std::vector<Waiting>& ticks) {
  for (const auto& waiting : ticks) {
    std::erase_if(unplaced_, [&](const UnplacedState& state) { return state.tick == waiting.tick; });
  }
}

bool InterpreterSampler::is_placed(RemoteAddress state) const {
  return std::find(placed_.begin(), placed_.end(), state) != placed_.end();
}

bool InterpreterSampler::is_open(Ledger::TickId tick) const {
  return std::any_of(pending_.begin(), pending_.end(), [&](const PendingStop& pending) {
    return std::any_of(pending.ticks.begin(), pending.ticks.end(),
                       [&](const Waiting& waiting) { return waiting.tick == tick; });
  });
}

InterpreterSampler::Settled InterpreterSampler::settle(const PythonThread& thread, bool holds_gil) {
  if (frames_left_ == 0) return RawStack{{}, StackEnd::unreadable, {}};
  if (watch(thread.tid).lacks_files() && !state_of(thread.tid)) return TickFailure::out_of_files;
  Settled result = TickFailure::not_proven;
  for (int tries = 0; tries < most_tries; ++tries) {
    if (tries > 0) {
      const auto again = read_everyone();
      if (!again) continue;
      // Its state may be gone with the thread, and its memory another's.
      if (!is_listed(again->threads, thread)) return Gone{};
      holds_gil = std::any_of(again->threads.begin(), again->threads.end(), [&](const PythonThread& other) {
        return other.tid == thread.tid && is_holder(again->after, other.state);
      });
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
  const auto place = place_of(thread.tid);
  if (!place) return Gone{};
  if (place->state == 'R') {
    if (!may_stop) return TickFailure::not_proven;
    return options_.hold == Hold::preempt ? settle_by_preemption(thread) : settle_by_stop(thread, *place);
  }
  // On its way to sleep it says so already, and may find that it need not.
  if (watch(thread.tid).is_on_cpu()) return TickFailure::not_proven;
  auto stack = read(thread);
  const bool stood_still = has_stood_still(thread.tid, turns);
  if (stack && may_stop && !is_run_by(thread, *stack)) return TickFailure::not_proven;
  return stack && stood_still ? Settled{std::move(*stack)} : TickFailure::not_proven;
}

bool InterpreterSampler::has_stood_still(Tid tid, const std::optional<Turns>& before) {
  // It may have been on its way to block, and been woken before it was off its CPU: then it runs on without a
  // new turn.
  return before && state_of(tid) != 'R' && watch(tid).turns() == before;
}

bool InterpreterSampler::is_run_by(const PythonThread& thread, const RawStack& stack) {
  if (!stack.c_stack.is_null() || interpreters_.size() > 1) return true;  // looked at by read()
  auto& overlay = copy_of(thread).overlay;
  const auto bounds = c_stack_of(overlay, thread);
  return bounds && runs_on(copy_c_stack(memory_, bounds->pointer, bounds->pthread), thread.state, stack);
}

InterpreterSampler::Settled InterpreterSampler::settle_by_stop(const PythonThread& thread,
                                                               const ThreadPlace& place) {
  if (tracer_.is_pending(thread.tid)) return StopPending{};
  foresee(thread);
  const auto spin = spin_for(place);
  const auto start = Clock::now();
  auto attempt = tracer_.hold(thread.tid, spin);
  if (!std::holds_alternative<HeldThread>(attempt)) return unheld(attempt);
  auto stack = read_held(thread, std::move(std::get<HeldThread>(attempt)));
  recording_.held.add(Clock::now() - start);
  return stack ? Settled{std::move(*stack)} : TickFailure::not_proven;
}

InterpreterSampler::Settled InterpreterSampler::settle_by_preemption(const PythonThread& thread) {
  foresee(thread);
  const auto& its = watch(thread.tid);
  const auto place = its.place();
  if (!place) return Gone{};
  std::optional<RawStack> stack;
  const auto visit = preemptor_.visit(its, *place, [&] { stack = read(thread); });
  switch (visit.arrival) {
    case Arrival::there:
      break;
    case Arrival::ended:
      return Gone{};
    case Arrival::moved:
      recording_.count_proof(false);
      return TickFailure::not_proven;
    case Arrival::not_ours:
      return TickFailure::foreign_cpu;
    case Arrival::realtime:
      return TickFailure::realtime;
    case Arrival::uncounted:
      return TickFailure::uncounted;
  }
  recording_.held.add(visit.since, visit.until);
  recording_.count_proof(visit.stood_still);
  return stack && visit.stood_still ? Settled{std::move(*stack)} : TickFailure::not_proven;
}

InterpreterSampler::Settled InterpreterSampler::unheld(const StopAttempt& attempt) {
  const auto* refused = std::get_if<StopRefused>(&attempt);
  if (refused == nullptr) return StopPending{};
  if (refused->code == ESRCH) return Gone{};
  return TickFailure::already_traced;
}

std::chrono::microseconds InterpreterSampler::spin_for(const ThreadPlace& place) {
  return place.cpu == ::sched_getcpu() ? 0us : Tracer::spin_limit;
}

std::optional<RawStack> InterpreterSampler::read_held(const PythonThread& thread, HeldThread held) {
  auto stack = read(thread);
  if (held.cut_short_a_call()) recording_.count_interrupted_call();
  return stack;  // the thread runs again here
}

std::optional<RawStack> InterpreterSampler::read(const PythonThread& thread) {
  codes_.begin_reading();
  auto& copy = copy_of(thread);
  copy.read_at = Clock::now();
  auto& overlay = copy.overlay;
  static_cast<void>(overlay.fetch({}, {}));
  // A new interpreter goes to the list's head: this thread may be inside it.
  const auto head = read_as<RemoteAddress>(overlay, runtime_.interpreters_head);
  if (!head || interpreters_.empty() || *head != interpreters_.front().state) return std::nullopt;
  // The thread may have given up its state since it was listed, and another may have got the memory.
  const bool is_single = interpreters_.size() < 2;
  if (is_single && names_another(overlay, thread)) return std::nullopt;
  const auto bounds = c_stack_of(overlay, thread);
  auto parts = is_single ? std::vector<InterpreterStack>{{0, walk(overlay, thread.state)}}
                         : read_parts(overlay, thread, bounds);
  // A state may be run by another thread than it names (PyEval_RestoreThread): then this one's standing still
  // proves nothing.
  const bool is_elsewhere = std::any_of(parts.begin(), parts.end(), [&](const InterpreterStack& part) {
    return bounds && !part.stack.frames.empty() && !part.stack.c_stack.is_null() &&
           !bounds->may_hold(part.stack.c_stack);
  });
  if (is_elsewhere) return std::nullopt;
  return is_single ? std::move(parts.front().stack) : join_stacks(std::move(parts));
}

bool InterpreterSampler::names_another(Overlay& overlay, const PythonThread& thread) {
  return numbers_.ours(InnerTid{number(thread_number(overlay, runtime_, thread.state))}) != thread.tid;
}

std::optional<CStackBounds> InterpreterSampler::c_stack_of(Overlay& overlay, const PythonThread& thread) {
  const auto pointer = watch(thread.tid).stack_pointer();
  const auto pthread = pthread_of(overlay, thread);
  if (!pointer || !pthread) return std::nullopt;
  return CStackBounds{*pointer, *pthread};
}

std::optional<RemoteAddress> InterpreterSampler::pthread_of(Overlay& overlay, const PythonThread& thread) {
  // The state of a subinterpreter may name another thread.
  const auto own = std::find_if(threads_.begin(), threads_.end(), [&](const PythonThread& other) {
    return other.tid == thread.tid && other.interpreter == 0;
  });
  const auto state = own == threads_.end() ? thread.state : own->state;
  const auto pthread = read_as<RemoteAddress>(overlay, state + runtime_.layout->thread.thread_id.offset);
  return pthread ? std::optional{*pthread} : std::nullopt;
}

std::vector<InterpreterStack> InterpreterSampler::read_parts(Overlay& overlay, const PythonThread& thread,
                                                             const std::optional<CStackBounds>& bounds) {
  const bool by_cframe = runtime_.layout->traits.state_thread == StateThread::by_cframe;
  const auto is_its = [&](const PythonThread& other) {
    if (other.interpreter == 0 || !by_cframe || !bounds) {
      return other.tid == thread.tid && (other.interpreter != 0 || !names_another(overlay, other));
    }
    const auto cframe = cframe_of(overlay, *runtime_.layout, other.state);
    return cframe && (other.tid == thread.tid || bounds->may_hold(*cframe));
  };
  auto fresh = list_new_threads(overlay, runtime_, interpreters_, threads_);
  for (auto& other : fresh) other.tid = numbers_.ours(InnerTid{number(other.tid)});
  std::vector<InterpreterStack> parts;
  for (const auto* const threads : {&std::as_const(threads_), &std::as_const(fresh)}) {
    for (const auto& other : *threads) {
      if (!is_its(other)) continue;
      parts.push_back({other.interpreter, walk(overlay, other.state)});
    }
  }
  if (has_moving_states() && bounds) add_moving_states(overlay, *bounds, parts);
  return parts;
}

void InterpreterSampler::add_moving_states(Overlay& overlay, const CStackBounds& bounds,
                                           std::vector<InterpreterStack>& parts) {
  std::vector<std::byte> c_stack;
  for (const auto& moving : threads_) {
    if (!is_unplaced(moving)) continue;
    auto stack = walk(overlay, moving.state);
    if (stack.frames.empty()) continue;
    if (c_stack.empty()) c_stack = copy_c_stack(memory_, bounds.pointer, bounds.pthread);
    if (!runs_on(c_stack, moving.state, stack)) continue;
    placed_.push_back(moving.state);
    parts.push_back({moving.interpreter, std::move(stack)});
  }
}

ThreadList InterpreterSampler::list(Overlay& overlay) {
  auto list = list_threads(overlay, runtime_);
  for (auto& thread : list.threads) thread.tid = numbers_.ours(InnerTid{number(thread.tid)});
  return list;
}

bool InterpreterSampler::is_listed(const std::vector<PythonThread>& threads,
                                   const PythonThread& thread) const {
  return std::any_of(threads.begin(), threads.end(), [&](const PythonThread& other) {
    return interpreters_.size() < 2 ? other == thread : other.tid == thread.tid;
  });
}

bool InterpreterSampler::knows(const std::vector<Interpreter>& interpreters) {
  if (interpreters != interpreters_) codes_.forget_versions();
  interpreters_ = interpreters;
  std::vector<RemoteAddress> structs;
  for (const auto& interpreter : interpreters) {
    if (!interpreter.gil.is_null()) structs.push_back(interpreter.gil);
  }
  return !gils_.guard(structs);
}

std::optional<InterpreterSampler::Reading> InterpreterSampler::read_everyone(const Bystanders& bystanders) {
  codes_.begin_reading();
  if (!everyone_.fetch(gils_.before(), gils_.after())) {
    // A subinterpreter may have ended, and its GIL with it.
    gils_.guard({});
    return std::nullopt;
  }
  Reading reading;
  reading.before = gils_.state_before();
  auto all = list(everyone_);
  if (all.is_damaged) return std::nullopt;
  // A state that is being made in the memory of one that has gone ends a list too early.
  const bool may_be_cut = std::exchange(oldest_, all.oldest) != all.oldest;
  if (may_be_cut) return std::nullopt;
  if (!knows(all.interpreters)) return std::nullopt;
  threads_ = all.threads;
  reading.threads = std::move(all.threads);
  const bool are_counted = gils_.has_gil() && count_switches(reading.before);
  for (const auto& thread : reading.threads) {
    // Who held the GIL last is not proven by its words: the caller settles that thread by itself.
    const bool may_run = !are_counted || held_last(reading.before, thread.state);
    const bool is_settled_later =
        may_run && options_.hold != Hold::none && !bystanders.contains(thread.state.value);
    if (is_unplaced(thread) || is_settled_later) continue;
    const auto activity = activity_of(thread, reading.before);
    if (!is_wanted(activity)) continue;
    if (interpreters_.size() < 2) {
      auto* const lasting = frames_left_ > 0 ? &lasting_[thread.state.value] : nullptr;
      if (lasting != nullptr) {
        walk(*lasting, everyone_, thread.state);
        frames_left_ -= std::min(frames_left_, lasting->stack.frame_count());
      }
      reading.lasting.push_back({thread, activity, lasting});
    } else {
      reading.parts.push_back({thread, activity, walk(everyone_, thread.state)});
    }
  }
  if (everyone_.has_missed()) {
    memory_.read_batch(gils_.after(), unread_);
    if (!unread_.empty()) return std::nullopt;
  }
  reading.after = gils_.state_after();
  return reading;
}

void InterpreterSampler::walk(LastingStack& lasting, Overlay& overlay, RemoteAddress state) {
  if (lasting.sample + 1 != overlay.sample()) lasting.stack.forget();
  lasting.stack.walk(overlay, runtime_, codes_, state,
                     options_.hold == Hold::none ? Motion::possible : Motion::none);
  lasting.sample = overlay.sample();
}

ThreadActivity InterpreterSampler::activity_of(const PythonThread& thread,
                                               const std::vector<GilState>& gils) {
  ThreadActivity activity;
  // Without a GIL, what holding it is elsewhere: it runs Python now.
  activity.holds_gil = gils_.has_gil() ? is_holder(gils, thread.state) : is_attached(thread.state);
  const bool is_filter = options_.mode == Mode::active || options_.mode == Mode::cpu;
  if (!is_filter && !options_.report_activity) return activity;
  activity.on_cpu = state_of(thread.tid) == 'R';
  if (activity.on_cpu || activity.holds_gil) return activity;
  const auto call = watch(thread.tid).blocked_call();
  activity.waits_for_gil = call && gils_.is_wait_for_gil(*call);
  return activity;
}

bool InterpreterSampler::is_attached(RemoteAddress state) {
  constexpr std::int32_t attached = 1;  // _Py_THREAD_ATTACHED
  const auto value = read_as<std::int32_t>(everyone_, state + runtime_.layout->thread.attachment.offset);
  return value && *value == attached;
}

bool InterpreterSampler::is_idle(const std::vector<PythonThread>& threads,
                                 const std::vector<GilState>& gils) {
  if (!options_.report_idle) return false;
  if (!gils_.has_gil()) {
    return std::none_of(threads.begin(), threads.end(),
                        [&](const PythonThread& thread) { return is_attached(thread.state); });
  }
  return std::all_of(gils.begin(), gils.end(), [](const GilState& gil) { return gil.holder.is_null(); });
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
  forget_copied();
  std::vector<std::optional<RawStack>> stacks;
  const auto start = Clock::now();
  {
    const auto still = std::move(held);
    for (const auto& thread_state : pending) {
      stacks.push_back(read(thread_state.thread));
      // A thread that has given up its state runs no Python there any more.
      const bool is_gone =
          !stacks.back() && names_another(copy_of(thread_state.thread).overlay, thread_state.thread);
      if (is_gone) stacks.back() = RawStack{};
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
    forget_unplaced(pending.ticks);
    for (const auto& waiting : pending.ticks) recording_.ledger.release(waiting.tick);
  }
}

void InterpreterSampler::abandon() {
  cancel_unconfirmed();
  for (const auto& pending : pending_) {
    for (const auto& waiting : pending.ticks) recording_.ledger.cancel(waiting.tick);
  }
  pending_.clear();
  unplaced_.clear();
}

void InterpreterSampler::give_up(Clock::time_point now) {
  if (!unconfirmed_.empty() && must_confirm(now)) static_cast<void>(confirm(now));
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
  forget_copied();
  tracer_.forget_lost();
  const auto turns = watch(tid).turns();
  auto stack = read(pending.thread);
  const bool stood_still = turns && watch(tid).turns() == turns && tracer_.is_pending(tid);
  return stood_still ? std::move(stack) : std::nullopt;
}

void InterpreterSampler::settle_waiting(const PendingStop& pending, const std::vector<Waiting>& ticks,
                                        const std::optional<RawStack>& stack) {
  if (!memory_.is_same_program() || (!stack && is_ending())) {
    forget_unplaced(ticks);
    for (const auto& waiting : ticks) recording_.ledger.cancel(waiting.tick);
    return;
  }
  const auto found = stack.value_or(RawStack{{}, StackEnd::unreadable, {}});
  emit({pending.thread, pending.activity, decode_stack(found, *runtime_.layout, recording_.stacks), found.end,
        ticks.size()});
  for (const auto& waiting : ticks) {
    if (!stack) recording_.ledger.fail(waiting.tick, TickFailure::stop_timed_out);
    recording_.ledger.release(waiting.tick);
  }
  settle_unplaced(ticks);
}

std::optional<InterpreterSampler::Clock::time_point> InterpreterSampler::next_give_up() const {
  std::optional<Clock::time_point> next;
  for (const auto& pending : pending_) {
    const auto at = pending.ticks.front().since + longest_wait;
    if (!next || at < *next) next = at;
  }
  return next;
}

void InterpreterSampler::emit(const Kept& kept) {
  const bool is_of_nobody = kept.thread.state.is_null();
  if (kept.stack == StackId::empty && !is_of_nobody) return;  // it runs no Python
  if (kept.end == StackEnd::too_deep) recording_.count_too_deep(kept.count);
  if (kept.end == StackEnd::unreadable) recording_.count_unreadable(kept.count);
  if (kept.end == StackEnd::torn) recording_.count_torn(kept.count);
  recording_.add(Sample{pid_, kept.thread.tid, kept.stack, kept.count, kept.activity});
}

bool InterpreterSampler::is_ending() {
  const Tid first{number(pid_)};
  const auto state = state_of(first);
  if (!state && watch(first).lacks_files()) return false;
  return !state || *state == 'Z' || *state == 'X';
}

ThreadWatch& InterpreterSampler::watch(Tid tid) {
  return watches_.try_emplace(number(tid), pid_, tid).first->second;
}

std::optional<ThreadPlace> InterpreterSampler::place_of(Tid tid) {
  if (const auto place = watch(tid).place()) return place;
  // The number may belong to another thread by now than the one whose files are open.
  watches_.erase(number(tid));
  return watch(tid).place();
}

std::optional<char> InterpreterSampler::state_of(Tid tid) {
  const auto place = place_of(tid);
  return place ? std::optional{place->state} : std::nullopt;
}

InterpreterSampler::ThreadCopy& InterpreterSampler::copy_of(const PythonThread& thread) {
  return copies_.try_emplace(thread.state.value, memory_).first->second;
}

void InterpreterSampler::foresee(const PythonThread& thread) {
  constexpr auto moment = 100us;
  if (Clock::now() - copy_of(thread).read_at > moment) static_cast<void>(read(thread));
}

void InterpreterSampler::forget_ended(const std::vector<PythonThread>& threads) {
  const auto most = 2 * threads.size() + 64;
  if (copies_.size() > most) {
    std::erase_if(copies_, [&](const auto& entry) { return find_thread(threads, {entry.first}) == nullptr; });
  }
  if (lasting_.size() > most) {
    std::erase_if(lasting_,
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
