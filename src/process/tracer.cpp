#include "sampler/process/tracer.h"

#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <ctime>
#include <string>

#include "process/reaping_alarm.h"
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

bool has_ended(Tid tid) {
  const auto stat = read_stat(std::to_string(number(tid)));
  return !stat || stat->state == 'Z' || stat->state == 'X';
}

}  // namespace

HeldThread::~HeldThread() {
  if (tid_ == Tid{}) return;
  // Fails with ESRCH only where the thread was killed meanwhile.
  if (::ptrace(PTRACE_DETACH, number(tid_), nullptr, as_data(signal_)) != 0) tracer_.expect_end(tid_);
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

StopAttempt Tracer::interrupt(Tid tid) {
  // EPERM is said of a traced thread, of a zombie and of one that we may not trace. Another sampler lets go
  // within microseconds, and has left no trace when we look.
  constexpr int most_tries = 4;
  for (int tries = 0; tries < most_tries; ++tries) {
    if (::ptrace(PTRACE_SEIZE, number(tid), nullptr, nullptr) == 0) {
      // This fails where it was killed between the two calls. waitpid reports its end.
      ::ptrace(PTRACE_INTERRUPT, number(tid), nullptr, nullptr);
      return StopPending{};
    }
    if (errno == ESRCH || has_ended(tid)) return StopRefused{Refusal::ended};
    if (tracer_of(tid) != Pid{}) return StopRefused{Refusal::traced};
  }
  return StopRefused{Refusal::forbidden};
}

void Tracer::interrupt_all(std::span<const Tid> tids, std::vector<StopAttempt>& attempts) {
  // Also for a single thread: one that we held may have been killed by an exec, and waits for us.
  ReapingAlarm alarm;
  for (const auto tid : tids) attempts.push_back(interrupt(tid));
  for (const auto& report : alarm.stop()) {
    const auto asked = std::find(tids.begin(), tids.end(), report.tid) - tids.begin();
    const auto i = static_cast<std::size_t>(asked);
    if (i < tids.size() && std::holds_alternative<StopPending>(attempts[i])) {
      decide(report, attempts[i]);
    } else {
      kept_.push_back(report);
    }
  }
}

void Tracer::decide(const ThreadReport& report, StopAttempt& attempt) {
  if (WIFSTOPPED(report.status)) {
    attempt.emplace<HeldThread>(*this, report.tid, signal_to_deliver(report.status));
  } else {
    kept_.push_back(report);
    attempt = StopRefused{Refusal::ended};
  }
}

bool Tracer::look_for_stop(Tid tid, StopAttempt& attempt) {
  int status = 0;
  if (::waitpid(number(tid), &status, WNOHANG | __WALL) != number(tid)) return false;
  decide({tid, status}, attempt);
  return true;
}

std::vector<StopAttempt> Tracer::hold_all(std::span<const Tid> tids, std::chrono::microseconds spin) {
  std::vector<StopAttempt> attempts;
  attempts.reserve(tids.size());
  interrupt_all(tids, attempts);
  const auto give_up = Clock::now() + spin;
  bool is_complete = false;
  do {
    is_complete = true;
    for (std::size_t i = 0; i < tids.size(); ++i) {
      if (!std::holds_alternative<StopPending>(attempts[i])) continue;
      is_complete = look_for_stop(tids[i], attempts[i]) && is_complete;
    }
  } while (!is_complete && Clock::now() < give_up);
  for (std::size_t i = 0; i < tids.size(); ++i) {
    if (std::holds_alternative<StopPending>(attempts[i])) pending_.push_back(tids[i]);
  }
  return attempts;
}

StopAttempt Tracer::hold(Tid tid, std::chrono::microseconds spin) {
  return std::move(hold_all({&tid, 1}, spin).front());
}

void Tracer::take(const ThreadReport& report, std::vector<WaitEvent>& events) {
  const auto [tid, status] = report;
  const bool was_pending = std::erase(pending_, tid) > 0;
  std::erase(dying_, tid);
  if (!WIFSTOPPED(status)) {
    events.push_back(WaitEvent{tid, std::nullopt, status});
    return;
  }
  HeldThread held{*this, tid, signal_to_deliver(status)};
  if (was_pending) events.push_back(WaitEvent{tid, std::move(held), 0});
}

std::vector<WaitEvent> Tracer::collect() {
  std::vector<WaitEvent> events;
  for (const auto& report : std::exchange(kept_, {})) take(report, events);
  int status = 0;
  pid_t reported = 0;
  while ((reported = ::waitpid(-1, &status, WNOHANG | __WALL)) > 0) take({Tid{reported}, status}, events);
  // A first thread's number goes to the thread that executes another program: its own end is never told.
  if (events.empty()) std::erase_if(dying_, [](Tid tid) { return tracer_of(tid) != Pid{::getpid()}; });
  return events;
}

}  // namespace sampler
