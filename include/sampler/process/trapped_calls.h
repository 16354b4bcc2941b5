#pragma once

namespace sampler {

/// From now on a system call that a seccomp filter traps (SIGSYS) ends with ENOSYS, as one that it refuses
/// does with an error: what sampler does without such a call it does then, too. For the whole process.
void survive_trapped_calls() noexcept;

}  // namespace sampler
