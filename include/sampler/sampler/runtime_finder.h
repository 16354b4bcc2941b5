#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "sampler/base/error.h"
#include "sampler/cpython/layout_catalog.h"
#include "sampler/cpython/python_runtime.h"
#include "sampler/cpython/runtime_locator.h"
#include "sampler/memory/remote_memory.h"
#include "sampler/process/maps.h"
#include "sampler/process/process.h"

namespace sampler {

/// The CPythons of a process: hands out each once it is initialised. Several may live in it.
class RuntimeFinder {
 public:
  using Clock = std::chrono::steady_clock;

  RuntimeFinder(std::shared_ptr<const Process> process, std::shared_ptr<const LayoutCatalog> catalog)
      : process_{std::move(process)}, catalog_{std::move(catalog)} {}

  /// The runtimes that are initialised and were not handed out yet. Looks for their files where that is to be
  /// done: these may be on a filesystem that does not answer.
  [[nodiscard]] std::vector<PythonRuntime> find(RemoteMemory& memory);
  /// The same between the ticks of others, for the price of some words and without a look at files. That a
  /// Python's file was mapped meanwhile is noticed within some seconds, later where there are thousands of
  /// mappings: they are read part by part, a call each.
  [[nodiscard]] std::vector<PythonRuntime> look_on(RemoteMemory& memory, Clock::time_point now);
  /// When look_on() is worth a call.
  [[nodiscard]] Clock::time_point next_look() const noexcept { return next_look_; }
  /// Whether look_on() has noticed a file that find() is to look at.
  [[nodiscard]] bool has_new_file() const noexcept { return has_new_file_; }

  /// A runtime that was handed out has ended: it may be initialised again.
  void take_back(const PythonRuntime& runtime);
  /// The process runs another program.
  void forget();

  /// As find_tid_offset(), where the last search for files came by it.
  [[nodiscard]] std::optional<std::uint32_t> tid_offset() const noexcept { return tid_offset_; }
  /// Whether the process has Pythons, initialised or not.
  [[nodiscard]] bool has_candidates() const noexcept { return !candidates_.empty(); }
  /// Why there is none, or why another cannot be sampled: of the last find().
  [[nodiscard]] const std::optional<Error>& error() const noexcept { return error_; }
  /// The same, or why none that there is lives.
  [[nodiscard]] Error why_none(RemoteMemory& memory) const;

 private:
  struct Candidate {
    PythonRuntime runtime;
    bool is_handed_out = false;
  };

  void locate(RemoteMemory& memory);
  /// By its interpreters: a second way to the same is none.
  [[nodiscard]] bool is_handed_out(const PythonRuntime& runtime) const;
  [[nodiscard]] std::vector<PythonRuntime> take_initialised(RemoteMemory& memory);
  /// Reads on in the mappings, for a Python's file that was not there before.
  void scan(Clock::time_point now);

  std::shared_ptr<const Process> process_;
  std::shared_ptr<const LayoutCatalog> catalog_;
  std::vector<Candidate> candidates_;
  std::optional<Error> error_;
  std::optional<std::uint32_t> tid_offset_;
  bool is_settled_ = false;           // candidates_ is all that there was
  std::vector<RemoteAddress> texts_;  // as in LocatedRuntimes
  bool has_new_file_ = false;
  std::optional<MapsReader> scan_;
  std::vector<RemoteAddress> scanned_;  // as texts_
  std::size_t new_searches_ = 0;
  Clock::time_point next_look_, next_scan_;
};

}  // namespace sampler
