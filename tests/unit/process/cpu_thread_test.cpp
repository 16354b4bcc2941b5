#include "sampler/process/cpu_thread.h"

#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <stdexcept>
#include <thread>

#include "catch.h"
#include "not_run.h"
#include "sampler/process/scheduling.h"
#include "traced_child.h"

namespace sampler {
namespace {

[[nodiscard]] bool run(CpuThread& thread, const std::function<void()>& job) {
  thread.start(job);
  return thread.finish();
}

}  // namespace

TEST_CASE("jobs run on the CPU, one after the other, before finish() returns", "[process]") {
  const int cpu = our_cpus().back();
  CpuThread thread{cpu};
  for (int i = 0; i < 1'000; ++i) {
    int there = -1;
    REQUIRE(run(thread, [&] { there = ::sched_getcpu(); }));
    REQUIRE(there == cpu);
  }
}

TEST_CASE("who gives a job goes on until he asks for its end", "[process]") {
  if (our_cpus().size() < 2) {
    return not_run("there is one CPU only", "on a machine with two CPUs");
  }
  CpuThread thread{our_cpus().back()};
  std::atomic<bool> may_end = false;
  bool has_ended = false;
  const std::function<void()> job = [&] { has_ended = comes_true([&] { return may_end.load(); }); };
  thread.start(job);
  may_end = true;
  REQUIRE(thread.finish());
  CHECK(has_ended);
}

TEST_CASE("the thread's number is the kernel's", "[process]") {
  CpuThread thread{our_cpus().back()};
  pid_t number_there = 0;
  REQUIRE(run(thread, [&] { number_there = ::gettid(); }));
  CHECK(number(thread.tid()) == number_there);
}

TEST_CASE("a job that throws does so for who gave it, and the next one runs", "[process]") {
  CpuThread thread{our_cpus().back()};
  CHECK_THROWS_AS(run(thread, [] { throw std::out_of_range{"x"}; }), std::out_of_range);
  bool has_run = false;
  CHECK(run(thread, [&] { has_run = true; }));
  CHECK(has_run);
}

TEST_CASE("a job is not begun where the CPU is not to be had, then or later", "[process]") {
  const int cpu = our_cpus().back();
  CpuThread thread{cpu};
  REQUIRE(run(thread, [] {}));
  // Of a higher priority than the job's thread has.
  const TestChild greedy{[cpu] {
    run_on(cpu);
    const sched_param high{2};
    if (::sched_setscheduler(0, SCHED_FIFO, &high) != 0) return;
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{10};
    while (std::chrono::steady_clock::now() < end) continue;
  }};
  if (!comes_true([&] { return ::sched_getscheduler(number(greedy.pid())) == SCHED_FIFO; })) {
    return not_run("realtime priority is not to be had", as_root);
  }
  int runs = 0;
  int refused = 0;
  int given = 0;
  // The kernel leaves the others 5 % of a second: there one may get through.
  REQUIRE(comes_true([&] {
    ++given;
    refused += run(thread, [&] { ++runs; }) ? 0 : 1;
    return refused > 0;
  }));
  ::kill(number(greedy.pid()), SIGKILL);
  REQUIRE(run(thread, [&] { ++runs; }));
  CHECK(runs == given - refused + 1);
}

TEST_CASE("a job is waited for by who has the same CPU only", "[process]") {
  const int cpu = our_cpus().back();
  bool has_run = false;
  std::thread{[&] {
    run_on(cpu);
    CpuThread thread{cpu};
    has_run = run(thread, [] {});
  }}.join();
  CHECK(has_run);
}

}  // namespace sampler
