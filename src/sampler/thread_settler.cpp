#include "sampler/sampler/thread_settler.h"

#include <sched.h>

#include <utility>

namespace sampler {
namespace {

using namespace std::chrono_literals;

/// How long to wait for a stop: a thread that shares our CPU cannot stop while we run.
std::chrono::microseconds spin_for(const ThreadPlace& place) {
  return place.cpu == ::sched_getcpu() ? 0us : Tracer::spin_limit;
}

/// What an attempt that holds nothing comes to.
Settled unheld(const StopAttempt& attempt) {
  const auto* refused = std::get_if<StopRefused>(&attempt);
  if (refused == nullptr) return StopPending{};
  switch (refused->why) {
    case Refusal::ended:
      return ThreadGone{};
    case Refusal::traced:
      return TickFailure::already_traced;
    case Refusal::forbidden:
      return TickFailure::refused;
  }
  return TickFailure::refused;
}

Settled proven_or_not(std::optional<RawStack> stack) {
  if (stack) learn_call(*stack);
  return stack ? Settled{std::move(*stack)} : TickFailure::not_proven;
}

}  // namespace

ThreadSettler::ThreadSettler(SampledProcess& process, ThreadReader& reader, Hold hold, Tracer& tracer,
                             Preemptor& preemptor, Recording& recording)
    : process_{process},
      reader_{reader},
      hold_{hold},
      tracer_{tracer},
      preemptor_{preemptor},
      recording_{recording} {}

Settled ThreadSettler::settle(const PythonThread& thread, bool may_stop) {
  if (thread.tid == Tid{}) return TickFailure::not_proven;
  auto& watches = process_.watches;
  const OwnTurn ours;
  // The order matters: a thread that is blocked after the first count of its turns on a CPU, and has the same
  // count at the end, did not run in between.
  const auto turns = watches.of(thread.tid).turns();
  const auto place = watches.place_of(thread.tid);
  if (!place) return ThreadGone{};
  if (place->state == 'R') {
    if (auto stack = read_waiting(thread, ours, *place, turns)) return proven_or_not(std::move(stack));
    return may_stop ? settle_running(thread, *place) : TickFailure::not_proven;
  }
  // On its way to sleep it says so already, and may find that it need not.
  if (watches.of(thread.tid).is_on_cpu()) return TickFailure::not_proven;
  auto stack = reader_.read(thread);
  const bool stood_still = watches.has_stood_still(thread.tid, turns);
  const auto& its = watches.of(thread.tid);
  if (stack && may_stop && its.hides_calls() && !its.stack_pointer()) return TickFailure::hidden;
  if (stack && may_stop && !reader_.is_run_by(thread, *stack)) return TickFailure::not_proven;
  if (stack && stood_still && may_stop) reader_.trust(thread);
  return stood_still ? proven_or_not(std::move(stack)) : TickFailure::not_proven;
}

bool ThreadSettler::is_trusted(const PythonThread& thread) const {
  // Who preempts knows of no C stack; a thread that is inside several interpreters is found by it only.
  return hold_ == Hold::preempt || (process_.roster.is_single() && reader_.is_trusted(thread));
}

std::optional<RawStack> ThreadSettler::read_waiting(const PythonThread& thread, const OwnTurn& ours,
                                                    const ThreadPlace& place,
                                                    const std::optional<Turns>& turns) {
  if (place.cpu != ours.cpu() || !turns || !is_trusted(thread)) return std::nullopt;
  auto stack = reader_.read(thread);
  if (!stack || !process_.watches.has_waited(thread.tid, turns, ours)) return std::nullopt;
  recording_.count_proof(true);
  return stack;
}

Settled ThreadSettler::settle_running(const PythonThread& thread, const ThreadPlace& place) {
  if (hold_ == Hold::preempt) return settle_by_preemption(thread);
  if (auto stack = read_visited(thread)) return proven_or_not(std::move(stack));
  return settle_by_stop(thread, place);
}

Settled ThreadSettler::settle_by_stop(const PythonThread& thread, const ThreadPlace& place) {
  if (tracer_.is_pending(thread.tid)) return StopPending{};
  reader_.foresee(thread);
  const auto spin = spin_for(place);
  const auto start = Clock::now();
  auto attempt = tracer_.hold(thread.tid, spin);
  if (std::holds_alternative<StopPending>(attempt)) visits_end_ = Clock::now() + longest_visits;
  if (!std::holds_alternative<HeldThread>(attempt)) return unheld(attempt);
  auto stack = reader_.read(thread);
  if (stack) reader_.trust(thread);
  let_go(std::move(std::get<HeldThread>(attempt)), start);
  return proven_or_not(std::move(stack));
}

Settled ThreadSettler::settle_by_preemption(const PythonThread& thread) {
  reader_.foresee(thread);
  const auto& its = process_.watches.of(thread.tid);
  const auto place = its.place();
  if (!place) return ThreadGone{};
  std::optional<RawStack> stack;
  const auto visit = preemptor_.visit(its, *place, [&] { stack = reader_.read(thread); });
  switch (visit.arrival) {
    case Arrival::there:
      break;
    case Arrival::ended:
      return ThreadGone{};
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
  return visit.stood_still ? proven_or_not(std::move(stack)) : TickFailure::not_proven;
}

std::optional<RawStack> ThreadSettler::read_visited(const PythonThread& thread) {
  if (Clock::now() >= visits_end_ || !is_trusted(thread)) return std::nullopt;
  reader_.foresee(thread);
  auto& its = process_.watches.of(thread.tid);
  const auto departures = its.departures();
  const auto place = its.place();
  if (!place || place->state != 'R' || !preemptor_.is_prompt_on(place->cpu)) return std::nullopt;
  std::optional<RawStack> stack;
  const auto visit = preemptor_.visit(its, *place, [&] { stack = reader_.read(thread); });
  // A CPU that a realtime thread does not leave is not gone to again for a while.
  if (visit.arrival == Arrival::realtime) visits_end_ = {};
  if (visit.arrival != Arrival::there) return std::nullopt;
  // Who has not lost a CPU had none that we could have taken: it was waiting for one, and nobody held it.
  const bool was_off_cpu = visit.stood_still && departures && its.departures() == departures;
  if (!was_off_cpu) recording_.held.add(visit.since, visit.until);
  recording_.count_proof(visit.stood_still);
  return visit.stood_still ? std::move(stack) : std::nullopt;
}

std::optional<Settled> ThreadSettler::ready(const PythonThread& thread, const ThreadPlace& place) {
  if (tracer_.is_pending(thread.tid)) return StopPending{};
  reader_.foresee(thread);
  if (spin_for(place) != 0us) return std::nullopt;
  // It shares our CPU, and cannot stop while we wait for the others.
  const auto start = Clock::now();
  auto attempt = tracer_.hold(thread.tid, 0us);
  if (!std::holds_alternative<HeldThread>(attempt)) return unheld(attempt);
  let_go(std::move(std::get<HeldThread>(attempt)), start);
  return std::nullopt;
}

std::vector<Settled> ThreadSettler::settle_together(std::span<const PythonThread> threads) {
  std::vector<Settled> settled(threads.size(), TickFailure::not_proven);
  if (threads.empty()) return settled;
  std::vector<Tid> tids;
  tids.reserve(threads.size());
  for (const auto& thread : threads) tids.push_back(thread.tid);
  const auto start = Clock::now();
  auto attempts = tracer_.hold_all(tids);
  for (std::size_t i = 0; i < threads.size(); ++i) {
    if (!std::holds_alternative<HeldThread>(attempts[i])) {
      settled[i] = unheld(attempts[i]);
    } else if (auto stack = reader_.read(threads[i])) {
      reader_.trust(threads[i]);
      settled[i] = proven_or_not(std::move(stack));
    }
  }
  for (auto& attempt : attempts) {
    if (auto* const held = std::get_if<HeldThread>(&attempt)) let_go(std::move(*held), start);
  }
  return settled;
}

void ThreadSettler::let_go(HeldThread held, Clock::time_point start) {
  {
    const auto still = std::move(held);
    if (still.cut_short_a_call()) recording_.count_interrupted_call();
  }  // the thread runs again here
  recording_.held.add(start, Clock::now());
}

std::vector<std::optional<RawStack>> ThreadSettler::read_stopped(std::span<const PythonThread> states,
                                                                 std::optional<HeldThread> held) {
  std::vector<std::optional<RawStack>> stacks;
  const auto start = Clock::now();
  for (const auto& state : states) {
    auto& stack = stacks.emplace_back(reader_.read(state));
    // A thread that has given up its state runs no Python there any more.
    if (stack) {
      reader_.trust(state);
    } else if (reader_.names_another(state)) {
      stack = RawStack{};
    }
  }
  if (!held) return stacks;
  let_go(std::move(*held), start);
  recording_.count_late_stop();
  return stacks;
}

std::optional<RawStack> ThreadSettler::read_overdue(const PythonThread& thread) {
  // An interrupted thread that ran its program would have stopped within microseconds. One that has not
  // stopped for this long is in the kernel or waits for a CPU, and stops before its program goes on: its
  // stack stands still.
  tracer_.forget_lost();
  auto& watches = process_.watches;
  const auto turns = watches.of(thread.tid).turns();
  auto stack = reader_.read(thread);
  const bool stood_still = turns && watches.of(thread.tid).turns() == turns && tracer_.is_pending(thread.tid);
  return stood_still ? std::move(stack) : std::nullopt;
}

}  // namespace sampler
