#include "process/reaping_alarm.h"

#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>

#include "sampler/base/error.h"

namespace sampler {
namespace {

constexpr long period = 5'000'000;  // ns

// What the handler and the program share; the program touches it while no signal comes.
// NOLINTBEGIN(cppcoreguidelines-avoid-non-const-global-variables): a handler has no arguments
std::array<ThreadReport, 256> reports;
volatile std::sig_atomic_t report_count = 0;
// NOLINTEND

/// The status that waitpid would have given.
int wait_status(const siginfo_t& info) {
  constexpr int core_flag = 0x80;
  if (info.si_code == CLD_TRAPPED || info.si_code == CLD_STOPPED) return (info.si_status << 8) | 0x7f;
  if (info.si_code == CLD_EXITED) return (info.si_status & 0xff) << 8;
  return info.si_status | (info.si_code == CLD_DUMPED ? core_flag : 0);
}

void reap(int /*signal*/) {
  const int error = errno;
  while (static_cast<std::size_t>(report_count) < reports.size()) {
    siginfo_t info{};
    if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | __WALL) != 0 || info.si_pid == 0) break;
    reports[static_cast<std::size_t>(report_count)] = {Tid{info.si_pid}, wait_status(info)};
    report_count = report_count + 1;
  }
  errno = error;
}

/// A timer that sends a signal of its own; made at the first use, so that a command that we start has the
/// signal's handling as it was.
timer_t make_timer() {
  const int signal = SIGRTMAX;
  struct sigaction action {};
  action.sa_handler = reap;  // NOLINT: sa_handler is a union member
  ::sigaction(signal, &action, nullptr);
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, signal);
  ::sigprocmask(SIG_UNBLOCK, &set, nullptr);
  sigevent event{};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = signal;
  timer_t timer{};
  if (::timer_create(CLOCK_MONOTONIC, &event, &timer) != 0) {
    throw Error{ErrorKind::internal, "cannot make a timer: " + errno_text(errno)};
  }
  return timer;
}

void set_period(long nanoseconds) {
  static const timer_t timer = make_timer();
  const itimerspec every{{0, nanoseconds}, {0, nanoseconds}};
  ::timer_settime(timer, 0, &every, nullptr);
}

}  // namespace

ReapingAlarm::ReapingAlarm() {
  report_count = 0;
  set_period(period);
}

ReapingAlarm::~ReapingAlarm() {
  if (is_running_) set_period(0);
}

std::vector<ThreadReport> ReapingAlarm::stop() {
  set_period(0);
  is_running_ = false;
  std::vector<ThreadReport> all(reports.begin(), reports.begin() + report_count);
  report_count = 0;
  return all;
}

}  // namespace sampler
