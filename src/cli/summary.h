#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "sampler/base/ids.h"
#include "sampler/model/run.h"
#include "sampler/sampler/sampling_options.h"

namespace sampler {

/// What came of a run with this --max-overhead, for standard error: a few aligned lines, the last one with
/// its newline.
[[nodiscard]] std::string summary_text(const RunSummary& summary, double max_overhead);

/// Why a run has no sample, in one line without a newline; what it looked for depends on the mode.
[[nodiscard]] std::string no_stack_text(const RunSummary& summary, Mode mode);

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
