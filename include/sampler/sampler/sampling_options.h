#pragma once

#include <chrono>
#include <optional>

#include "sampler/process/scheduling.h"

namespace sampler {

/// Which threads a tick keeps.
enum class Mode {
  wall,    ///< all Python threads
  active,  ///< those that run or wait for the GIL
  cpu,     ///< those on a CPU, by the kernel's word
  gil,     ///< the GIL's holder
};

/// How a thread that runs is kept still while its stack is read.
enum class Hold {
  ptrace,   ///< stopped by its tracer
  preempt,  ///< we run on its CPU meanwhile
  none,     ///< not at all: its stack is plausible, not proven
};

/// How often, how long and what to sample.
struct SamplingOptions {
  std::chrono::nanoseconds interval{std::chrono::milliseconds{10}};  ///< 0: as fast as it goes
  /// Of monotonic time; 0 is exactly one tick, nothing is until the target ends or a signal.
  std::optional<std::chrono::nanoseconds> duration{std::chrono::seconds{1}};
  double max_overhead = 5;  ///< per cent of wall time that one target may be held; 0: no limit
  Mode mode = Mode::wall;
  Hold hold = Hold::ptrace;
  Priority priority = Priority::high;  ///< of the sampler itself
  bool report_activity =
      false;                 ///< fill in every sample's ThreadActivity, also where the mode does not need it
  bool report_idle = false;  ///< in Mode::gil, a sample with an empty stack where nobody holds it
};

}  // namespace sampler
