#pragma once

#include <cstdint>

#include "sampler/base/ids.h"
#include "sampler/model/stack_table.h"

namespace sampler {

/// What a thread was doing, by the GIL's state and the kernel's word.
struct ThreadActivity {
  bool holds_gil = false;
  bool waits_for_gil = false;
  bool on_cpu = false;  ///< running, or ready to run and waiting for a CPU
};

/// One thread's stack at one tick. `stack` is StackId::empty where nobody held the GIL at a tick that looks
/// at its holder only (Pyflame's "(idle)").
struct Sample {
  Pid pid{};
  Tid tid{};
  StackId stack = StackId::empty;
  std::uint64_t count = 1;  ///< ticks this stack stands for: a stop that came late answers several
  ThreadActivity activity;
};

}  // namespace sampler
