#include "sampler/sampler/standing_threads.h"

#include <algorithm>
#include <utility>

namespace sampler {

StandingThreads::StandingThreads(SampledProcess& process, const GilGuard& gils,
                                 const SamplingOptions& options, UnconfirmedSamples& samples,
                                 StackTable& stacks)
    : process_{process},
      gils_{gils},
      may_stand_{options.interval < longest && options.mode == Mode::wall && !options.report_activity},
      samples_{samples},
      stacks_{stacks},
      copy_{process.memory} {}

void StandingThreads::note(const Reading& reading, Overlay& everyone, std::span<const KeptSample> stacks,
                           Clock::time_point now) {
  const auto& [before, after, threads, lasting, parts] = reading;
  const bool may_stand = may_stand_ && process_.roster.is_single() && before.size() == 1 && before == after &&
                         before.front().switches;
  const auto* const holder = may_stand ? find_thread(threads, before.front().holder) : nullptr;
  if (holder == nullptr || holder->tid == Tid{}) return;
  // Between two states of its own a thread may change without the GIL's words.
  const auto is_its = [&](const PythonThread& thread) { return thread.tid == holder->tid; };
  if (std::count_if(threads.begin(), threads.end(), is_its) > 1) return;
  const auto native_number = native_thread_number(everyone, process_.layout(), holder->state);
  Standing standing{before, *holder, native_number, {}, now};
  for (const auto& kept : stacks) {
    if (kept.thread.state == holder->state) continue;
    if (kept.end != StackEnd::complete) return;
    standing.others.push_back(kept);
  }
  standing_ = std::move(standing);
  holder_.stack.forget();
}

bool StandingThreads::fetch_holder(Clock::time_point now) {
  if (!standing_ || now - standing_->since > longest) return false;
  process_.codes.begin_reading();
  if (!copy_.fetch(gils_.before(), {}) || gils_.state_before() != standing_->gils) return false;
  auto& roster = process_.roster;
  if (roster.interpreters().size() != 1) return false;
  const auto& layout = process_.layout();
  // Up to 3.11 a thread may enter a new subinterpreter, and the GIL's words stay as they are.
  if (layout.traits.gil != GilKind::in_interpreter && !roster.is_newest_interpreter(copy_)) return false;
  // The memory of its state may be another thread's by now, without a change of the words. Where the state
  // has the thread's number itself, that is one piece less to copy.
  const auto& holder = standing_->holder;
  const auto number = standing_->native_number;
  return number != Tid{} ? native_thread_number(copy_, layout, holder.state) == number
                         : !roster.names_another(copy_, holder);
}

bool StandingThreads::keep_unheld_holder(Clock::time_point now, int most_tries) {
  auto& stack = holder_.stack;
  for (int tries = 0; tries < most_tries; ++tries) {
    if (tries > 0 && !fetch_holder(now)) return false;
    walk_on(holder_, process_, copy_, standing_->holder.state, Motion::possible);
    if (stack.end() != StackEnd::torn && !copy_.has_missed()) break;
  }
  samples_.keep(
      {standing_->holder, {.holds_gil = true}, stack.decode(process_.layout(), stacks_), stack.end()});
  return true;
}

void StandingThreads::hand_out() {
  const auto ticks = standing_ ? std::exchange(standing_->ticks, 0) : 0;
  if (ticks == 0) return;
  for (auto kept : standing_->others) {
    kept.count = ticks;
    samples_.keep(kept);
  }
}

}  // namespace sampler
