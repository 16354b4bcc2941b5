#pragma once

#include <chrono>
#include <span>
#include <vector>

#include "sampler/model/profile_sink.h"
#include "sampler/model/stack_table.h"
#include "sampler/sampler/hold_clock.h"
#include "sampler/sampler/ledger.h"
#include "sampler/sampler/tid_set.h"

namespace sampler {

/// All that a run has gathered: the stacks, the accounts, and the sinks that get each sample.
class Recording {
 public:
  explicit Recording(std::vector<ProfileSink*> sinks) : sinks_{std::move(sinks)} {}

  void begin(const RunInfo& info);
  void add(const Sample& sample);
  void count_interrupted_call() noexcept { ++summary_.interrupted_calls; }
  void count_late_stop() noexcept { ++summary_.late_stops; }
  /// Of one sample or, for a late stop, of all that it answers.
  void count_too_deep(std::uint64_t samples) noexcept { summary_.too_deep += samples; }
  void count_unreadable(std::uint64_t samples) noexcept { summary_.unreadable += samples; }
  void count_torn(std::uint64_t samples) noexcept { summary_.torn += samples; }
  /// Functions whose frames do not tell what they call.
  void count_silent_functions(std::uint64_t functions) noexcept { summary_.silent_functions += functions; }
  /// Of a thread that we kept from its CPU: whether it is proven that it did not run.
  void count_proof(bool has_held) noexcept { ++(has_held ? summary_.proofs : summary_.failed_proofs); }
  /// As of the last tick: states of threads that do not exist.
  void note_left_out_states(std::uint64_t count) noexcept { summary_.left_out_states = count; }
  /// The interval was wider than asked, so that the target is held for less time.
  void note_widened(std::chrono::nanoseconds interval, std::uint64_t left_out) noexcept;

  StackTable stacks;
  Ledger ledger;
  HoldClock held;

  [[nodiscard]] RunSummary summary(std::chrono::nanoseconds elapsed) const;

 private:
  std::vector<ProfileSink*> sinks_;
  RunSummary summary_;
  TidSet threads_;
};

}  // namespace sampler
