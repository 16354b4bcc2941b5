#include "process/reaping_alarm.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "catch.h"
#include "traced_child.h"

namespace sampler {
namespace {

/// Whether the kernel has something to report of a thread. It keeps that until somebody takes it.
bool has_report(Tid tid) {
  siginfo_t info{};
  return ::waitid(P_PID, static_cast<id_t>(number(tid)), &info, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0 &&
         info.si_pid != 0;
}

/// The status that an alarm took of a thread that has something to report.
int taken_status(Tid tid) {
  REQUIRE(comes_true([&] { return has_report(tid); }));
  ReapingAlarm alarm;
  REQUIRE(comes_true([&] { return !has_report(tid); }));
  const auto reports = alarm.stop();
  REQUIRE(reports.size() == 1);
  REQUIRE(reports.front().tid == tid);
  return reports.front().status;
}

void seize(const BusyChild& child) {
  REQUIRE(::ptrace(PTRACE_SEIZE, number(child.tid()), nullptr, nullptr) == 0);
}

}  // namespace

TEST_CASE("a stop that comes during the alarm is reported as waitpid does", "[process]") {
  const BusyChild child;
  seize(child);
  REQUIRE(::ptrace(PTRACE_INTERRUPT, number(child.tid()), nullptr, nullptr) == 0);
  const int status = taken_status(child.tid());
  CHECK(WIFSTOPPED(status));
  CHECK(status >> 8 == (SIGTRAP | (PTRACE_EVENT_STOP << 8)));
}

TEST_CASE("a signal that comes during the alarm is reported as waitpid does", "[process]") {
  const BusyChild child;
  seize(child);
  child.send(SIGUSR1);
  const int status = taken_status(child.tid());
  CHECK(WIFSTOPPED(status));
  CHECK(status >> 8 == SIGUSR1);
}

TEST_CASE("an end that comes during the alarm is reported as waitpid does", "[process]") {
  const BusyChild killed;
  killed.send(SIGKILL);
  const int status = taken_status(killed.tid());
  REQUIRE(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGKILL);
  const TestChild ended{[] { ::_exit(7); }};
  const int exit_status = taken_status(ended.tid());
  REQUIRE(WIFEXITED(exit_status));
  CHECK(WEXITSTATUS(exit_status) == 7);
}

}  // namespace sampler
