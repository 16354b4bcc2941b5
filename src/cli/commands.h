#pragma once

#include "cli/options.h"

namespace sampler {

/// `sampler [record]`: samples a process or a command and writes a profile. The exit status.
[[nodiscard]] int run_record(const Options& options);

/// `sampler dump`: what every thread of a process does now. The exit status.
[[nodiscard]] int run_dump(const Options& options);

/// `sampler doctor`: what this machine, our rights and a process have to do with sampling. The exit status: 0
/// where sampling would work.
[[nodiscard]] int run_doctor(const Options& options);

}  // namespace sampler
