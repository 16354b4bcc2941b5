#include "sampler/sampler/unconfirmed_samples.h"

#include <utility>

namespace sampler {

UnconfirmedSamples::UnconfirmedSamples(SampledProcess& process, Recording& recording)
    : process_{process}, recording_{recording}, code_objects_{process.memory} {}

void UnconfirmedSamples::keep(const PythonThread& thread, const ThreadActivity& activity,
                              const RawStack& stack) {
  keep({thread, activity, decode_stack(stack, process_.layout(), recording_.stacks), stack.end});
}

void UnconfirmedSamples::keep_unreadable(const PythonThread& thread, const ThreadActivity& activity) {
  keep({thread, activity, unreadable_stack(recording_.stacks), StackEnd::unreadable});
}

bool UnconfirmedSamples::must_confirm(Clock::time_point now, std::chrono::nanoseconds interval) const {
  return !ticks_.empty() && (interval >= shortest_interval || now - confirmed_at_ >= shortest_interval);
}

Confirmation UnconfirmedSamples::confirm(Clock::time_point now) {
  auto& codes = process_.codes;
  if (codes.must_confirm()) static_cast<void>(code_objects_.fetch({}, {}));
  const bool are_same = codes.confirm(code_objects_);
  recording_.count_silent_functions(codes.take_silent());
  if (!process_.memory.is_same_program()) {
    cancel();
    return Confirmation::other_program;
  }
  confirmed_at_ = now;
  for (auto& sample : std::exchange(samples_, {})) {
    if (!are_same && sample.stack != StackId::empty) {
      sample.stack = unreadable_stack(recording_.stacks);
      sample.end = StackEnd::unreadable;
    }
    emit(sample);
  }
  auto& ledger = recording_.ledger;
  for (const auto tick : std::exchange(ticks_, {})) {
    if (!are_same) ledger.fail(tick, TickFailure::not_proven);
    ledger.release(tick);
  }
  return are_same ? Confirmation::proven : Confirmation::other_code;
}

void UnconfirmedSamples::cancel() {
  for (const auto tick : std::exchange(ticks_, {})) recording_.ledger.cancel(tick);
  samples_.clear();
}

void UnconfirmedSamples::emit(const KeptSample& sample) {
  const bool is_of_nobody = sample.thread.state.is_null();
  if (sample.stack == StackId::empty && !is_of_nobody) return;  // it runs no Python
  if (sample.end == StackEnd::too_deep) recording_.count_too_deep(sample.count);
  if (sample.end == StackEnd::unreadable) recording_.count_unreadable(sample.count);
  if (sample.end == StackEnd::torn) recording_.count_torn(sample.count);
  recording_.add(Sample{process_.pid, sample.thread.tid, sample.stack, sample.count, sample.activity});
}

}  // namespace sampler
