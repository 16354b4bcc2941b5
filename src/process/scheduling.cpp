#include "sampler/process/scheduling.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace sampler {
namespace {

/// sched_setattr(2); glibc 2.36 has none, and the kernel's header contradicts its <sched.h>.
struct SchedulingAttributes {
  std::uint32_t size = sizeof(SchedulingAttributes);
  std::uint32_t policy = 0;
  std::uint64_t flags = 0;
  std::int32_t nice = 0;
  std::uint32_t priority = 0;
  std::uint64_t runtime = 0;  ///< nanoseconds; of an ordinary thread, the time slice that it would like
  std::uint64_t deadline = 0;
  std::uint64_t period = 0;
};

void ask_for_short_slice() noexcept {
  constexpr std::uint64_t reset_on_fork = 1;
  SchedulingAttributes attributes;
  if (::syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) != 0) return;
  if (attributes.policy != SCHED_OTHER && attributes.policy != SCHED_BATCH)
    return;  // elsewhere it is a limit
  attributes.flags = reset_on_fork;
  attributes.runtime = 100'000;
  ::syscall(SYS_sched_setattr, 0, &attributes, 0);
}

}  // namespace

void ask_to_be_prompt() noexcept {
  ::setpriority(PRIO_PROCESS, 0, -20);  // on Linux that is the thread
  ask_for_short_slice();
}

bool become_realtime() noexcept {
  const int policy = ::sched_getscheduler(0) & ~SCHED_RESET_ON_FORK;
  if (policy != SCHED_OTHER && policy != SCHED_BATCH && policy != SCHED_IDLE) return true;
  const sched_param lowest{1};
  return ::sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &lowest) == 0;
}

void run_on(int cpu) noexcept {
  CpuSet set{};
  CPU_SET_S(static_cast<std::size_t>(cpu), sizeof set, set.data());
  ::sched_setaffinity(0, sizeof set, set.data());
}

}  // namespace sampler
