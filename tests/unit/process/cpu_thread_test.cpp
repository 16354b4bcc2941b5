#include "sampler/process/cpu_thread.h"

#include <sched.h>
#include <unistd.h>

#include <stdexcept>
#include <thread>

#include "catch.h"
#include "sampler/process/scheduling.h"
#include "traced_child.h"

namespace sampler {
TEST_CASE("jobs run on the CPU, one after the other, before run() returns", "[process]") {
  const int cpu = our_cpus().back();
  CpuThread thread{cpu};
  for (int i = 0; i < 1'000; ++i) {
    int there = -1;
    REQUIRE(thread.run([&] { there = ::sched_getcpu(); }));
    REQUIRE(there == cpu);
  }
}

TEST_CASE("a job that throws does so for who gave it, and the next one runs", "[process]") {
  CpuThread thread{our_cpus().back()};
  CHECK_THROWS_AS(thread.run([] { throw std::out_of_range{"x"}; }), std::out_of_range);
  bool has_run = false;
  CHECK(thread.run([&] { has_run = true; }));
  CHECK(has_run);
}

TEST_CASE("a job is not begun where the CPU is not to be had, then or later", "[process]") {
  const int cpu = our_cpus().back();
  CpuThread thread{cpu};
  REQUIRE(thread.run([] {}));
  // Of a higher priority than the job's thread has.
  const TestChild greedy{[cpu] {
    run_on(cpu);
    const sched_param high{2};
    if (::sched_setscheduler(0, SCHED_FIFO, &high) != 0) return;
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{10};
    while (std::chrono::steady_clock::now() < end) continue;
  }};
  if (!comes_true([&] { return ::sched_getscheduler(number(greedy.pid())) == SCHED_FIFO; })) {
    WARN("not run: realtime priority is not to be had");
    return;
  }
  int runs = 0;
  int refused = 0;
  int given = 0;
  // The kernel leaves the others 5 % of a second: there one may get through.
  REQUIRE(comes_true([&] {
    ++given;
    refused += thread.run([&] { ++runs; }) ? 0 : 1;
    return refused > 0;
  }));
  ::kill(number(greedy.pid()), SIGKILL);
  REQUIRE(thread.run([&] { ++runs; }));
  CHECK(runs == given - refused + 1);
}

TEST_CASE("a job is waited for by who has the same CPU only", "[process]") {
  const int cpu = our_cpus().back();
  bool has_run = false;
  std::thread{[&] {
    run_on(cpu);
    CpuThread thread{cpu};
    has_run = thread.run([] {});
  }}.join();
  CHECK(has_run);
}

}  // namespace sampler
