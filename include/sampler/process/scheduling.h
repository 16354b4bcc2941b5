#pragma once

#include <sched.h>

#include <array>

namespace sampler {

/// A set of CPUs; 8,192 are the most that a kernel for x86-64 is built for.
using CpuSet = std::array<cpu_set_t, 8>;

/// What to ask of the kernel's scheduler.
enum class Priority {
  high,    ///< to be prompt, as far as we may
  normal,  ///< nothing
};

// All of these are about the calling thread, and none of its children.

/// Asks to be woken in time and to keep its CPU: by nice -20, where it may, and the shortest time slice there
/// is, 0.1 ms, which needs no right. A thread that asks for a shorter slice than the one that runs takes its
/// place as soon as it wakes up, without more of the CPU in the end (Linux 6.12; before it, this changes
/// nothing).
void ask_to_be_prompt() noexcept;

/// Asks for realtime priority, the lowest (CAP_SYS_NICE). False where there is none to be had: a cgroup may
/// have none to give. A thread that has some keeps it.
bool become_realtime() noexcept;

/// Moves to this CPU, for good; does nothing where it cannot be used.
void run_on(int cpu) noexcept;

}  // namespace sampler
