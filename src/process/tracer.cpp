#include "sampler/process/tracer.h"

#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <ctime>

#include "sampler/process/process.h"

namespace sampler {
namespace {

using Clock = std::chrono::steady_clock;

/// The data argument of ptrace(2) is a pointer that holds a number.
void* as_data(int signal) {
  return reinterpret_cast<void*>(static_cast<std::intptr_t>(signal));  // NOLINT(performance-no-int-to-ptr)
}

/// The signal to hand on: of a signal-delivery stop only. Event stops (the interrupt's own, a group stop)
/// have none; after PTRACE_DETACH the kernel re-enters a group stop by itself.
int signal_to_deliver(int status) {
  const int event = status >> 16;
  return event == 0 ? WSTOPSIG(status) : 0;
}

}  // namespace

HeldThread::~HeldThread() {
  // Fails with ESRCH only where the thread was killed meanwhile; its end is then reported by waitpid.
  if (tid_ != Tid{}) ::ptrace(PTRACE_DETACH, number(tid_), nullptr, as_data(signal_));
}

bool HeldThread::cut_short_a_call() const noexcept {
  user_regs_struct registers{};
  if (::ptrace(PTRACE_GETREGS, number(tid_), nullptr, &registers) != 0) return false;
  // orig_rax is the call's number, -1 outside of calls. The restartable kinds show -ERESTART*, never -EINTR.
  return static_cast<std::int64_t>(registers.orig_rax) >= 0 &&
         static_cast<std::int64_t>(registers.rax) == -EINTR;
}

Tracer::~Tracer() {
  const auto deadline = Clock::now() + std::chrono::milliseconds{100};
  while (has_pending() && Clock::now() < deadline) {
    static_cast<void>(collect());
    const timespec pause{0, 200'000};
    ::nanosleep(&pause, nullptr);
  }
}

bool Tracer::is_pending(Tid tid) const noexcept {
  return std::find(pending_.begin(), pending_.end(), tid) != pending_.end();
}

void Tracer::forget_lost() {
  std::erase_if(pending_, [](Tid tid) { return tracer_of(tid) != Pid{::getpid()}; });
}

StopAttempt Tracer::hold(Tid tid, std::chrono::microseconds spin) {
  if (::ptrace(PTRACE_SEIZE, number(tid), nullptr, nullptr) != 0) return StopRefused{errno};
  if (::ptrace(PTRACE_INTERRUPT, number(tid), nullptr, nullptr) != 0) {
    // It was killed between the two calls. waitpid reports its end.
    pending_.push_back(tid);
    return StopPending{};
  }
  const auto give_up = Clock::now() + spin;
  do {
    int status = 0;
    const auto reported = ::waitpid(number(tid), &status, WNOHANG | __WALL);
    if (reported == number(tid)) {
      if (WIFSTOPPED(status)) return HeldThread{tid, signal_to_deliver(status)};
      ended_.push_back(WaitEvent{tid, std::nullopt, status});
      return StopRefused{ESRCH};
    }
  } while (Clock::now() < give_up);
  pending_.push_back(tid);
  return StopPending{};
}

std::vector<WaitEvent> Tracer::collect() {
  auto events = std::exchange(ended_, {});
  int status = 0;
  pid_t reported = 0;
  while ((reported = ::waitpid(-1, &status, WNOHANG | __WALL)) > 0) {
    const Tid tid{reported};
    const bool was_pending = std::erase(pending_, tid) > 0;
    if (!WIFSTOPPED(status)) {
      events.push_back(WaitEvent{tid, std::nullopt, status});
      continue;
    }
    HeldThread held{tid, signal_to_deliver(status)};
    if (was_pending) events.push_back(WaitEvent{tid, std::move(held), 0});
  }
  return events;
}

}  // namespace sampler
