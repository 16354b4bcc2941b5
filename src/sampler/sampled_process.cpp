#include "sampler/sampler/sampled_process.h"

#include <utility>

namespace sampler {

SampledProcess::SampledProcess(Pid its_pid, ProcessMemory& its_memory, PythonRuntime its_runtime)
    : pid{its_pid},
      memory{its_memory},
      runtime{std::move(its_runtime)},
      codes{runtime},
      roster{pid, runtime},
      watches{pid} {}

RawStack SampledProcess::walk(Overlay& overlay, RemoteAddress state) {
  if (budget.is_spent()) return RawStack{{}, StackEnd::unreadable, {}};
  auto stack = walk_frames(overlay, runtime, codes, state);
  budget.spend(stack.frames.size());
  return stack;
}

}  // namespace sampler
