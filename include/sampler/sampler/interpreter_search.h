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

/// Runs searches one after the other on a thread of its own, which is made for the first and stays: a new one
/// would wait for a CPU each time, as it is born without our priority. Nobody has to wait for the thread:
/// what it needs is its own, and one that hangs is left to the end of the program.
class SearchThread {
 public:
  explicit SearchThread(Priority priority) noexcept : priority_{priority} {}
  SearchThread(const SearchThread&) = delete;
  SearchThread& operator=(const SearchThread&) = delete;
  ~SearchThread();

  /// Only while no other search goes on.
  [[nodiscard]] std::future<InterpreterSearch> run(InterpreterSearch search);

 private:
  struct Desk;

  static void serve(const std::shared_ptr<Desk>& desk, Priority priority);

  Priority priority_;
  std::shared_ptr<Desk> desk_;  ///< null: no thread yet
};

}  // namespace sampler
