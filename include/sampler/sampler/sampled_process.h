#pragma once

#include "sampler/base/ids.h"
#include "sampler/cpython/code_cache.h"
#include "sampler/cpython/frame_walker.h"
#include "sampler/cpython/python_runtime.h"
#include "sampler/memory/overlay.h"
#include "sampler/memory/process_memory.h"
#include "sampler/process/thread_watches.h"
#include "sampler/sampler/frame_budget.h"
#include "sampler/sampler/thread_roster.h"

namespace sampler {

/// One interpreter process, as the parts of its sampler share it.
struct SampledProcess {
  SampledProcess(Pid its_pid, ProcessMemory& its_memory, PythonRuntime its_runtime);
  SampledProcess(const SampledProcess&) = delete;
  SampledProcess& operator=(const SampledProcess&) = delete;

  /// As walk_frames(); unreadable where the budget is spent.
  [[nodiscard]] RawStack walk(Overlay& overlay, RemoteAddress state);
  /// Of its Python.
  [[nodiscard]] const Layout& layout() const noexcept { return *runtime.layout; }

  Pid pid;
  ProcessMemory& memory;
  const PythonRuntime runtime;
  CodeCache codes;
  ThreadRoster roster;
  ThreadWatches watches;
  FrameBudget budget;
};

}  // namespace sampler
