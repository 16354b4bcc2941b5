#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "sampler/base/ids.h"
#include "sampler/model/python_version.h"

namespace sampler {

/// What a sink needs to know of the run before its first sample.
struct RunInfo {
  Pid pid{};
  PythonVersion python;
  std::string working_directory;  ///< of the target; empty where it cannot be read
};

/// Why a tick gave no stack for a thread that should have one.
enum class TickFailure : std::uint8_t {
  gil_too_busy,    ///< the GIL changed hands during each of the tries
  stop_timed_out,  ///< the holder did not stop within 100 ms
  already_traced,  ///< another tracer held the thread
  not_proven,      ///< a thread ran, or gave up its state, during each of the tries
  unreadable,      ///< the interpreter's memory made no sense or could not be read
  no_interpreter,  ///< the process had no (initialised) Python at that moment
  foreign_cpu,     ///< a thread was to be preempted on a CPU that we may not use
  realtime,        ///< a thread to be preempted goes before us
  uncounted,       ///< a thread was to be preempted where the kernel does not count its turns
  out_of_files,    ///< we may not have more files open, and so not look at another thread
  refused,         ///< the kernel did not let us stop the thread, which nobody traced
  hidden,          ///< what would prove a blocked thread is hidden from us
  searching,       ///< a search for the interpreter was not over
};
inline constexpr std::size_t tick_failure_count = 13;

/// In the words of the summary: "the GIL changed hands too often".
[[nodiscard]] const char* description(TickFailure failure) noexcept;

/// How long the target's threads were held still, as the sampler sees it.
struct HoldTimes {
  std::uint64_t count = 0;
  std::chrono::nanoseconds median{0};
  std::chrono::nanoseconds p99{0};
  std::chrono::nanoseconds total{0};  ///< of all threads
  std::chrono::nanoseconds wall{0};   ///< threads held together count once
};

/// What came of a run. asked = taken + late + the sum of failed.
struct RunSummary {
  std::chrono::nanoseconds elapsed{0};
  std::uint64_t asked = 0;
  std::uint64_t taken = 0;
  std::uint64_t late = 0;
  std::array<std::uint64_t, tick_failure_count> failed{};
  std::uint64_t samples = 0;            ///< the file's total
  std::uint64_t threads = 0;            ///< distinct threads seen with a Python stack
  std::uint64_t interrupted_calls = 0;  ///< system calls that returned EINTR at a stop
  std::uint64_t late_stops = 0;         ///< stops that came after the spin
  std::uint64_t too_deep = 0;           ///< samples with the mark <too deep>
  std::uint64_t unreadable = 0;         ///< samples with the mark <unreadable>
  std::uint64_t torn = 0;               ///< samples with the mark <torn>
  std::uint64_t proofs = 0;             ///< that a thread did not run while we were on its CPU
  std::uint64_t failed_proofs = 0;      ///< the others: the thread was looked at again
  std::uint64_t silent_functions = 0;   ///< whose frames do not tell what they call: a JIT's
  std::uint64_t left_out_states = 0;    ///< with frames, of threads that the process did not have at the end
  HoldTimes held;
  std::uint64_t left_out = 0;                   ///< ticks not asked for, to hold the target for less time
  std::chrono::nanoseconds widest_interval{0};  ///< between two ticks, for that; 0: always the asked one
  std::chrono::nanoseconds cpu{0};              ///< that the sampler itself has used

  [[nodiscard]] std::uint64_t failed_total() const noexcept;
};

}  // namespace sampler
