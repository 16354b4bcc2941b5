#pragma once

#include "cli/options.h"

namespace sampler {

/// `sampler [record]`: samples a process or a command and writes a profile. The exit status.
[[nodiscard]] int run_record(const Options& options);

/// `sampler dump`: what every thread of a process does now. The exit status.
[[nodiscard]] int run_dump(const Options& options);

}  // namespace sampler
