#pragma once

#include <future>
#include <memory>
#include <optional>

#include "sampler/base/error.h"
#include "sampler/cpython/layout_catalog.h"
#include "sampler/cpython/python_runtime.h"
#include "sampler/memory/process_memory.h"
#include "sampler/process/process.h"
#include "sampler/sampler/sampling_options.h"

namespace sampler {

/// A search for the interpreter of a process: what it goes by, and what it has found. It reads files of the
/// process, which may be on a filesystem that does not answer; so it owns all that it needs.
struct InterpreterSearch {
  std::shared_ptr<const Process> process;
  std::shared_ptr<const LayoutCatalog> catalog;
  Hold hold = Hold::ptrace;
  std::shared_ptr<ProcessMemory> memory;  ///< replaced where the process runs another program by now
  std::optional<PythonRuntime> runtime;   ///< kept from the search before where it is of the same program
  std::optional<Error> error;             ///< why there is no runtime
  bool is_found = false;                  ///< the runtime is there, and initialised

  void run();

 private:
  /// Keeps why nothing was found.
  void note(const Error& why);
};

/// Runs a search on a thread of its own, which nobody has to wait for.
[[nodiscard]] std::future<InterpreterSearch> run_apart(InterpreterSearch search);

}  // namespace sampler
