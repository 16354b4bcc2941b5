#include "sampler/sampler/interpreter_sampler.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

namespace sampler {
namespace {

/// The first thread state of each kernel thread; all that no thread can be told for.
std::vector<PythonThread> one_per_thread(const std::vector<PythonThread>& threads) {
  std::vector<PythonThread> ones;
  std::unordered_set<pid_t> seen;
  for (const auto& thread : threads) {
    if (thread.tid == Tid{} || seen.insert(number(thread.tid)).second) ones.push_back(thread);
  }
  return ones;
}

/// No GIL changed hands more than once.
bool are_settled(const std::vector<GilState>& before, const std::vector<GilState>& after) {
  return std::equal(before.begin(), before.end(), after.begin(), after.end(),
                    [](const GilState& a, const GilState& b) { return *b.switches - *a.switches <= 1; });
}

bool is_hidden(const Settled& settled) {
  const auto* const failure = std::get_if<TickFailure>(&settled);
  return failure != nullptr && *failure == TickFailure::hidden;
}

bool are_ready(const std::vector<GilState>& gils) {
  return std::all_of(gils.begin(), gils.end(), [](const GilState& gil) { return gil.is_ready; });
}

}  // namespace

InterpreterSampler::InterpreterSampler(Pid pid, ProcessMemory& memory, PythonRuntime runtime,
                                       const SamplingOptions& options, Tracer& tracer, Preemptor& preemptor,
                                       Recording& recording)
    : options_{options},
      recording_{recording},
      process_{pid, memory, std::move(runtime)},
      reader_{process_},
      settler_{process_, reader_, options.hold, tracer, preemptor, recording},
      everyone_{process_, options},
      samples_{process_, recording},
      standing_{process_, everyone_.gils(), options, samples_, recording.stacks} {
  if (options_.hold == Hold::none) process_.codes.let_all_wait();
}

bool InterpreterSampler::tick(Clock::time_point now, Ledger::TickId tick, bool are_others_idle) {
  now_ = now;
  forget_copied();
  process_.roster.begin_tick();
  is_idle_ = false;
  auto& ledger = recording_.ledger;
  ledger.retain(tick);
  samples_.begin(tick);
  sample(tick);
  recording_.note_left_out_states(process_.roster.left_out());
  if (is_idle_ && are_others_idle) samples_.keep({});
  const bool has_failed = ledger.has_failed(tick);
  if (has_failed && process_.watches.is_process_ending()) {
    cancel_unconfirmed();
    return false;
  }
  return has_failed || samples_.must_confirm(now, options_.interval) ? confirm(now) : true;
}

void InterpreterSampler::forget_copied() {
  process_.codes.begin_tick();
  process_.budget.renew();
  reader_.begin_tick();
}

bool InterpreterSampler::confirm(Clock::time_point now) {
  standing_.hand_out();
  const auto confirmation = samples_.confirm(now);
  if (confirmation != Confirmation::proven) standing_.forget();
  return confirmation != Confirmation::other_program;
}

void InterpreterSampler::cancel_unconfirmed() {
  samples_.cancel();
  standing_.forget();
}

void InterpreterSampler::sample(Ledger::TickId tick) {
  if (sample_holder(tick)) return;
  if (options_.hold == Hold::none) return sample_unheld(tick);
  auto failure = TickFailure::unreadable;
  for (int tries = 0; tries < most_tries; ++tries) {
    process_.budget.renew();
    const auto bystanders = look_at_bystanders();
    auto everyone = everyone_.read(bystanders);
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
    process_.budget.renew();
    auto everyone = everyone_.read();
    failure = TickFailure::unreadable;
    if (!everyone) continue;
    failure = TickFailure::gil_too_busy;
    const bool is_counted = count_switches(everyone->before) && count_switches(everyone->after);
    // Of several switches any thread may have been part; those who did not hold the GIL are to be proven.
    if (is_counted && !are_settled(everyone->before, everyone->after)) continue;
    best = std::move(everyone);
    if (everyone_.is_whole(*best)) break;
  }
  if (!best) return recording_.ledger.fail(tick, failure);
  forget_ended(best->threads);
  is_idle_ = everyone_.is_idle(best->threads, best->after);
  keep_proven(*best);
  for (const auto& thread : best->threads) {
    if (is_unplaced(thread)) settle_unplaced(tick, thread, {});
  }
}

bool InterpreterSampler::sample_holder(Ledger::TickId tick) {
  bool is_kept = standing_.fetch_holder(now_);
  if (is_kept && options_.hold == Hold::none) {
    is_kept = standing_.keep_unheld_holder(now_, most_unheld_tries);
  } else if (is_kept) {
    const auto& holder = standing_.holder();
    keep(tick, holder, {.holds_gil = true}, settle(holder, true));
  }
  if (is_kept) {
    standing_.count_tick();
  } else {
    standing_.hand_out();
    standing_.forget();
  }
  return is_kept;
}

void InterpreterSampler::sample_read(Ledger::TickId tick, Reading everyone, const Bystanders& bystanders) {
  is_idle_ = everyone_.is_idle(everyone.threads, everyone.after);
  auto unproven = unproven_of(everyone);
  std::unordered_set<std::uint64_t> open;  // the states of unproven
  for (const auto& thread : unproven) open.insert(thread.state.value);
  last_unproven_.clear();
  if (process_.roster.is_single()) last_unproven_ = unproven;
  const bool is_proven = is_counted(everyone);  // whoever is not among unproven
  std::erase_if(everyone.parts, [&](const Reading::Part& part) {
    return !is_proven || open.contains(part.thread.state.value);
  });
  std::erase_if(everyone.lasting, [&](const Reading::Lasting& reading) {
    const auto state = reading.thread.state.value;
    if (!open.contains(state)) return !is_proven;
    if (!stood_by(bystanders, reading, everyone.after)) return true;
    open.erase(state);
    return false;
  });
  std::erase_if(unproven, [&](const auto& thread) { return !open.contains(thread.state.value); });
  keep_proven(everyone);
  if (everyone_.gils().has_gil()) {
    settle_all(tick, unproven, everyone.after);
  } else {
    settle_together(tick, unproven);
  }
}

Bystanders InterpreterSampler::look_at_bystanders() {
  Bystanders bystanders;
  // What the other modes keep mostly runs.
  if (options_.mode != Mode::wall) return bystanders;
  auto& watches = process_.watches;
  for (const auto& thread : last_unproven_) {
    if (thread.tid == Tid{}) continue;
    // The order matters, as in ThreadSettler::settle().
    const auto turns = watches.of(thread.tid).turns();
    const auto state = watches.state_of(thread.tid);
    if (!turns || !state || *state == 'R' || watches.of(thread.tid).is_on_cpu()) continue;
    bystanders.emplace(thread.state.value, Bystander{thread, *turns});
  }
  return bystanders;
}

bool InterpreterSampler::stood_by(const Bystanders& bystanders, const Reading::Lasting& reading,
                                  const std::vector<GilState>& after) {
  const auto& [thread, activity, lasting] = reading;
  if (lasting == nullptr) return false;
  const auto found = bystanders.find(thread.state.value);
  if (found == bystanders.end() || !(found->second.thread == thread)) return false;
  // Of a blocked holder more is to be asked.
  if (activity.holds_gil || is_holder(after, thread.state)) return false;
  if (lasting->stack.end() == StackEnd::unreadable) return false;
  const auto bounds = reader_.c_stack_of(everyone_.copy(), thread);
  const bool is_elsewhere =
      bounds && reader_.may_be_anothers(everyone_.copy(), thread, *bounds, lasting->stack.c_stack());
  return !is_elsewhere && process_.watches.has_stood_still(thread.tid, found->second.turns);
}

bool InterpreterSampler::is_counted(const Reading& everyone) const {
  return everyone_.gils().has_gil() && count_switches(everyone.before) && count_switches(everyone.after);
}

bool InterpreterSampler::names_no_thread(const std::vector<GilState>& gils,
                                         const std::vector<PythonThread>& threads) const {
  const auto& traits = process_.layout().traits;
  // From 3.12 on each move between thread states is one of the GIL too.
  if (traits.gil == GilKind::in_interpreter) return false;
  return std::any_of(gils.begin(), gils.end(), [&](const GilState& gil) {
    if (gil.last_holder.is_null()) return false;
    const auto* holder = find_thread(threads, gil.last_holder);
    if (holder == nullptr) return !gil.holder.is_null();
    return holder->interpreter != 0 && traits.state_thread != StateThread::named;
  });
}

std::vector<PythonThread> InterpreterSampler::unproven_of(const Reading& everyone) const {
  if (!everyone_.gils().has_gil()) return one_per_thread(everyone.threads);
  // Which thread changes frames is not told by words that name a state that nobody has, or that any may run.
  const bool is_untold = !is_counted(everyone) || process_.roster.has_moving_states() ||
                         names_no_thread(everyone.before, everyone.threads) ||
                         names_no_thread(everyone.after, everyone.threads);
  if (is_untold) return everyone.threads;
  // A kernel thread that is inside several interpreters moves between its thread states, which the GIL's
  // words do not always show: what one of them could have changed, so could the others.
  std::vector<Tid> movers;
  for (const auto& thread : everyone.threads) {
    if (is_last_holder(everyone.before, thread.state) || is_last_holder(everyone.after, thread.state)) {
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

void InterpreterSampler::keep_proven(Reading& reading) {
  const auto first = samples_.size();
  for (const auto& [thread, activity, lasting] : reading.lasting) {
    if (lasting == nullptr) {
      samples_.keep_unreadable(thread, activity);
      continue;
    }
    auto& stack = lasting->stack;
    samples_.keep({thread, activity, stack.decode(process_.layout(), recording_.stacks), stack.end()});
  }
  auto& parts = reading.parts;
  while (!parts.empty()) {
    const auto thread = parts.front().thread;
    const auto activity = parts.front().activity;
    std::vector<InterpreterStack> its;
    std::erase_if(parts, [&](Reading::Part& part) {
      const bool is_its = part.thread.tid == thread.tid && (thread.tid != Tid{} || part.thread == thread);
      if (is_its) its.push_back({part.thread.interpreter, std::move(part.stack)});
      return is_its;
    });
    samples_.keep(thread, activity, join_stacks(std::move(its)));
  }
  standing_.note(reading, everyone_.copy(), samples_.since(first), now_);
}

void InterpreterSampler::keep(Ledger::TickId tick, const PythonThread& thread, const ThreadActivity& activity,
                              Settled settled) {
  if (auto* stack = std::get_if<RawStack>(&settled)) {
    samples_.keep(thread, activity, *stack);
  } else if (const auto* failure = std::get_if<TickFailure>(&settled)) {
    recording_.ledger.fail(tick, *failure);
    samples_.keep_unreadable(thread, activity);
  } else if (std::holds_alternative<StopPending>(settled)) {
    recording_.ledger.retain(tick);
    late_stops_.add(thread, activity, {tick, Clock::now()});
  }
}

void InterpreterSampler::settle_all(Ledger::TickId tick, const std::vector<PythonThread>& threads,
                                    const std::vector<GilState>& gils) {
  const bool is_untold = names_no_thread(gils, threads);
  const auto holds = [&](Tid tid) {
    // Somebody has the GIL, and the words do not tell who: whoever runs may.
    if (is_untold && gils.front().holder != RemoteAddress{} && process_.watches.state_of(tid) == 'R') {
      return true;
    }
    return std::any_of(threads.begin(), threads.end(), [&](const PythonThread& thread) {
      return thread.tid == tid && is_holder(gils, thread.state);
    });
  };
  // With several interpreters all of a thread's states are settled with one. With one interpreter a thread
  // that starts another has two for a while: the other's names its maker until the other runs (up to 3.11).
  auto ones = process_.roster.is_single() ? threads : one_per_thread(threads);
  // What no thread turns out to run comes last.
  std::stable_partition(ones.begin(), ones.end(),
                        [](const PythonThread& thread) { return !is_unplaced(thread); });
  for (const auto& thread : ones) {
    auto activity = everyone_.activity_of(thread, gils);
    activity.holds_gil = activity.holds_gil || holds(thread.tid);
    if (!everyone_.is_wanted(activity)) continue;
    if (is_unplaced(thread)) {
      settle_unplaced(tick, thread, activity);
    } else {
      keep(tick, thread, activity, settle(thread, activity.holds_gil));
    }
  }
}

void InterpreterSampler::settle_together(Ledger::TickId tick, const std::vector<PythonThread>& threads) {
  struct Subject {
    PythonThread thread;
    ThreadActivity activity;
    Settled settled;
    std::optional<Turns> turns{};   // before it was read, where it was off its CPU
    std::optional<OwnTurn> ours{};  // where it waited for our CPU
  };
  auto& watches = process_.watches;
  std::vector<Subject> resting;  // blocked, or waiting for the CPU that we have
  std::vector<PythonThread> running;
  std::vector<ThreadActivity> activities;  // of running
  for (const auto& thread : threads) {
    auto activity = everyone_.activity_of(thread, {});
    const auto& states = process_.roster.threads();
    activity.holds_gil = std::any_of(states.begin(), states.end(), [&](const PythonThread& other) {
      return other.tid == thread.tid && everyone_.is_attached(other.state);
    });
    if (!everyone_.is_wanted(activity)) continue;
    if (thread.tid == Tid{}) {
      const bool is_empty =
          walk_frames(everyone_.copy(), process_.runtime, process_.codes, thread.state).frames.empty();
      if (!is_empty) samples_.keep_unreadable(thread, activity);
      continue;
    }
    const OwnTurn ours;
    // The order matters, as in ThreadSettler::settle().
    const auto turns = watches.of(thread.tid).turns();
    const auto place = watches.place_of(thread.tid);
    if (!place) {
      if (watches.of(thread.tid).lacks_files()) keep(tick, thread, activity, TickFailure::out_of_files);
      continue;
    }
    const bool waits = place->state == 'R' && place->cpu == ours.cpu() && settler_.is_trusted(thread);
    if (place->state == 'R' && !waits) {
      if (auto settled = settler_.ready(thread, *place)) {
        keep(tick, thread, activity, std::move(*settled));
      } else {
        running.push_back(thread);
        activities.push_back(activity);
      }
      continue;
    }
    const bool is_off_cpu = waits || !watches.of(thread.tid).is_on_cpu();
    resting.push_back({thread, activity, TickFailure::not_proven, is_off_cpu ? turns : std::nullopt});
    if (waits) resting.back().ours = ours;
    if (auto stack = reader_.read(thread)) resting.back().settled = std::move(*stack);
  }
  auto held = settler_.settle_together(running);
  for (auto& subject : resting) {
    const auto tid = subject.thread.tid;
    const bool has_rested = subject.ours ? watches.has_waited(tid, subject.turns, *subject.ours)
                                         : watches.has_stood_still(tid, subject.turns);
    if (!has_rested) subject.settled = TickFailure::not_proven;
    if (has_rested && subject.ours) recording_.count_proof(true);
    if (has_rested && !subject.ours) reader_.trust(subject.thread);
  }
  const auto keep_or_settle = [&](const PythonThread& thread, const ThreadActivity& activity,
                                  Settled& settled) {
    const auto* const failure = std::get_if<TickFailure>(&settled);
    const bool is_open = failure != nullptr && *failure == TickFailure::not_proven;
    keep(tick, thread, activity, is_open ? settle(thread, true) : std::move(settled));
  };
  for (std::size_t i = 0; i < running.size(); ++i) keep_or_settle(running[i], activities[i], held[i]);
  for (auto& [thread, activity, settled, turns, ours] : resting) keep_or_settle(thread, activity, settled);
}

Settled InterpreterSampler::settle(const PythonThread& thread, bool holds_gil) {
  auto& watches = process_.watches;
  if (process_.budget.is_spent()) return RawStack{{}, StackEnd::unreadable, {}};
  if (watches.of(thread.tid).lacks_files() && !watches.state_of(thread.tid)) return TickFailure::out_of_files;
  Settled result = TickFailure::not_proven;
  int tries = 0;  // those that may stop it
  for (int looks = 0; tries < most_tries && looks < most_waits + most_tries; ++looks) {
    if (looks > 0) {
      const auto again = everyone_.read();
      if (!again) continue;
      // Its state may be gone with the thread, and its memory another's.
      if (!process_.roster.has(thread)) return ThreadGone{};
      holds_gil = std::any_of(again->threads.begin(), again->threads.end(), [&](const PythonThread& other) {
        return other.tid == thread.tid && is_holder(again->after, other.state);
      });
    }
    const bool may_stop = holds_gil || looks >= most_waits;
    if (may_stop) ++tries;
    result = settler_.settle(thread, may_stop);
    // Of who has no GIL less is to be asked, where it turns out to be blocked.
    if (!holds_gil && is_hidden(result)) result = settler_.settle(thread, false);
    // In a thread that stands still nothing is unreadable, unless its state is gone: that is worth another
    // look.
    const auto* stack = std::get_if<RawStack>(&result);
    const bool is_settled =
        stack != nullptr ? stack->end != StackEnd::unreadable : !std::holds_alternative<TickFailure>(result);
    if (is_settled) break;
  }
  return result;
}

void InterpreterSampler::settle_unplaced(Ledger::TickId tick, const PythonThread& thread,
                                         const ThreadActivity& activity) {
  // Where nobody knows which thread runs a state, nothing proves its stack; unless it has none.
  const auto stack = process_.walk(everyone_.copy(), thread.state);
  const bool runs_nothing = stack.frames.empty() && stack.end == StackEnd::complete;
  if (runs_nothing || reader_.is_placed(thread.state)) return;
  if (late_stops_.is_open(tick)) {
    unplaced_.push_back({thread, activity, tick});
  } else {
    samples_.keep_unreadable(thread, activity);
  }
}

void InterpreterSampler::settle_unplaced(const std::vector<LateStops::Waiting>& ticks) {
  for (const auto& waiting : ticks) {
    std::erase_if(unplaced_, [&](const UnplacedState& state) {
      if (state.tick != waiting.tick) return false;
      if (reader_.is_placed(state.thread.state)) return true;
      if (late_stops_.is_open(state.tick)) return false;
      samples_.emit(
          {state.thread, state.activity, unreadable_stack(recording_.stacks), StackEnd::unreadable});
      return true;
    });
  }
}

void InterpreterSampler::forget_unplaced(const std::vector<LateStops::Waiting>& ticks) {
  for (const auto& waiting : ticks) {
    std::erase_if(unplaced_, [&](const UnplacedState& state) { return state.tick == waiting.tick; });
  }
}

void InterpreterSampler::stop_came(Tid tid, std::optional<HeldThread> held) {
  const auto stops = late_stops_.take(tid);
  forget_copied();
  std::vector<PythonThread> states;
  states.reserve(stops.size());
  for (const auto& stop : stops) states.push_back(stop.thread);
  const auto stacks = settler_.read_stopped(states, std::move(held));
  for (std::size_t i = 0; i < stops.size(); ++i) {
    settle_waiting(stops[i], stacks[i], TickFailure::not_proven);
  }
}

void InterpreterSampler::thread_ended(Tid tid) {
  process_.watches.forget(tid);
  for (const auto& stop : late_stops_.take(tid)) {
    forget_unplaced(stop.ticks);
    for (const auto& waiting : stop.ticks) recording_.ledger.release(waiting.tick);
  }
}

void InterpreterSampler::abandon() {
  cancel_unconfirmed();
  for (const auto& stop : late_stops_.take_all()) {
    for (const auto& waiting : stop.ticks) recording_.ledger.cancel(waiting.tick);
  }
  unplaced_.clear();
}

void InterpreterSampler::end(Clock::time_point now) {
  if (!confirm(now)) abandon();
}

void InterpreterSampler::give_up(Clock::time_point now) {
  if (samples_.must_confirm(now, options_.interval)) static_cast<void>(confirm(now));
  while (const auto stop = late_stops_.take_overdue(now)) {
    forget_copied();
    settle_waiting(*stop, settler_.read_overdue(stop->thread), TickFailure::stop_timed_out);
  }
}

void InterpreterSampler::settle_waiting(const LateStops::Stop& stop, const std::optional<RawStack>& stack,
                                        TickFailure otherwise) {
  const bool is_ending = !stack && process_.watches.is_process_ending();
  if (is_ending || !process_.memory.is_same_program()) {
    forget_unplaced(stop.ticks);
    for (const auto& waiting : stop.ticks) recording_.ledger.cancel(waiting.tick);
    return;
  }
  const auto found = stack.value_or(RawStack{{}, StackEnd::unreadable, {}});
  samples_.emit({stop.thread, stop.activity, decode_stack(found, process_.layout(), recording_.stacks),
                 found.end, stop.ticks.size()});
  for (const auto& waiting : stop.ticks) {
    if (!stack) recording_.ledger.fail(waiting.tick, otherwise);
    recording_.ledger.release(waiting.tick);
  }
  settle_unplaced(stop.ticks);
}

void InterpreterSampler::forget_ended(const std::vector<PythonThread>& threads) {
  reader_.forget_ended(threads);
  everyone_.forget_ended(threads);
  if (process_.watches.size() <= most_kept(threads)) return;
  std::unordered_set<pid_t> tids;
  for (const auto& thread : threads) tids.insert(number(thread.tid));
  process_.watches.keep_only(tids);
}

}  // namespace sampler
