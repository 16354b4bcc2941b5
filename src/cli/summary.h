#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "sampler/base/error.h"
#include "sampler/base/ids.h"
#include "sampler/model/run.h"
#include "sampler/sampler/sampling_options.h"

namespace sampler {

/// What came of a run with this --max-overhead, for standard error: a few aligned lines, the last one with
/// its newline.
[[nodiscard]] std::string summary_text(const RunSummary& summary, double max_overhead);

/// Of how many thread states there is no thread, in words.
[[nodiscard]] std::string left_out_text(std::uint64_t states);

/// Why a run has no sample, in one line without a newline; what it looked for depends on the mode.
[[nodiscard]] std::string no_stack_text(const RunSummary& summary, Mode mode);

/// Why a run is a failure though idle threads were sampled: at each tick the kernel refused to stop the one
/// that ran. Nothing where that is not so.
[[nodiscard]] std::optional<Error> refused_stops(const RunSummary& summary, Pid pid, bool has_gil);

/// That threads that wait for the GIL are not known as such, and the cure; one line.
[[nodiscard]] std::string hidden_calls_text(Pid pid);

/// How far a run is, for a terminal: one line of less than 80 columns, without a newline.
[[nodiscard]] std::string progress_text(Pid pid, std::chrono::nanoseconds elapsed,
                                        std::optional<std::chrono::nanoseconds> duration, std::uint64_t ticks,
                                        std::uint64_t samples);

/// That a process has ended before the run's time was up, in one line without a newline; its status is that
/// of waitpid(2), where it is known.
[[nodiscard]] std::string early_end_text(Pid pid, std::chrono::nanoseconds elapsed,
                                         std::optional<std::chrono::nanoseconds> duration,
                                         std::optional<int> status);

/// A time with three significant digits in the unit that suits it: "14.2 us".
[[nodiscard]] std::string time_text(std::chrono::nanoseconds time);

}  // namespace sampler
