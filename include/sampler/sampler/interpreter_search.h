#pragma once

#include <future>
#include <memory>
#include <optional>
#include <vector>

#include "sampler/base/error.h"
#include "sampler/cpython/python_runtime.h"
#include "sampler/memory/process_memory.h"
#include "sampler/process/process.h"
#include "sampler/sampler/runtime_finder.h"
#include "sampler/sampler/sampling_options.h"

namespace sampler {

/// A search for the interpreters of a process: what it goes by, and what it has found. It reads files of the
/// process, which may be on a filesystem that does not answer; so it owns all that it needs.
struct InterpreterSearch {
  std::shared_ptr<const Process> process;
  Hold hold = Hold::ptrace;
  std::shared_ptr<ProcessMemory> memory;  ///< replaced where the process runs another program by now
  RuntimeFinder finder;                   ///< has what searches before have found of the same program
  std::optional<Error> error;             ///< why there is no runtime
  std::vector<PythonRuntime> found;       ///< those that are initialised; before, those of the last search

  void run();
  /// Beside others that are sampled: with a memory of its own, and what cannot be sampled is left out.
  void run_for_others();

 private:
  /// What was found, ready to be sampled; or why one of it cannot be.
  [[nodiscard]] std::optional<Error> prepare();
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

  /// By run() or by run_for_others(), and only while no other search goes on.
  [[nodiscard]] std::future<InterpreterSearch> run(InterpreterSearch search,
                                                   void (InterpreterSearch::*how)());

 private:
  struct Desk;

  static void serve(const std::shared_ptr<Desk>& desk, Priority priority);

  Priority priority_;
  std::shared_ptr<Desk> desk_;  ///< null: no thread yet
};

}  // namespace sampler
