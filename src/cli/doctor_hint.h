#pragma once

#include "sampler/base/error.h"
#include "sampler/base/ids.h"

namespace sampler {

/// The same error, and that `sampler doctor` tells more of this process, where it can: not for a mistake of
/// the command line, an output that cannot be written or an error of our own.
[[nodiscard]] Error with_doctor(const Error& error, Pid pid);

}  // namespace sampler
