#include "cli/summary.h"

#include <csignal>
#include <optional>

#include "catch.h"

namespace sampler {
namespace {

using namespace std::chrono_literals;

RunSummary quiet_run() {
  RunSummary summary;
  summary.elapsed = 10s;
  summary.asked = 1000;
  summary.taken = 1000;
  summary.samples = 3000;
  summary.threads = 3;
  summary.cpu = 25ms;
  return summary;
}

std::uint64_t& failed(RunSummary& summary, TickFailure failure) {
  return summary.failed.at(static_cast<std::size_t>(failure));
}

}  // namespace

TEST_CASE("the summary of a run without trouble is four lines", "[cli]") {
  CHECK(summary_text(quiet_run(), 5) ==
        "ticks    1000 asked, 1000 taken, 0 late, 0 failed in 10.0 s (100.0 per second)\n"
        "samples  3000 of 3 threads\n"
        "stopped  never\n"
        "sampler  used 25.0 ms of CPU time, 0.25 % of a CPU\n");
}

TEST_CASE("the summary of a run with all kinds of trouble counts each", "[cli]") {
  auto summary = quiet_run();
  summary.taken = 990;
  summary.late = 3;
  failed(summary, TickFailure::gil_too_busy) = 2;
  failed(summary, TickFailure::unreadable) = 5;
  summary.threads = 1;
  summary.samples = 990;
  summary.too_deep = 4;
  summary.unreadable = 6;
  summary.torn = 2;
  summary.proofs = 20;
  summary.failed_proofs = 3;
  summary.held = {.count = 500, .median = 14'200ns, .p99 = 55us, .total = 8'200us, .wall = 8ms};
  summary.late_stops = 1;
  summary.interrupted_calls = 7;
  summary.left_out_states = 2;
  CHECK(summary_text(summary, 5) ==
        "ticks    1000 asked, 990 taken, 3 late, 7 failed in 10.0 s (99.0 per second)\n"
        "         5 failed: the interpreter's memory could not be read\n"
        "         2 failed: the GIL changed hands too often\n"
        "samples  990 of 1 thread, 4 <too deep>, 6 <unreadable>, 2 <torn>\n"
        "         left out: 2 thread states that name no thread of the process (it has ended, or CPython was "
        "not "
        "told of a fork)\n"
        "stopped  500 times: median 14.2 us, p99 55.0 us, 8.20 ms in all, 0.08 % of the run, as the sampler "
        "sees it\n"
        "         without ptrace: 20 proven not to have run meanwhile, 3 not\n"
        "         1 stop came late\n"
        "         7 system calls of the target interrupted (EINTR)\n"
        "sampler  used 25.0 ms of CPU time, 0.25 % of a CPU\n");
}

TEST_CASE("the summary of a run that was slowed down says by how much and why", "[cli]") {
  auto summary = quiet_run();
  summary.asked = summary.taken = 180;
  summary.left_out = 820;
  summary.widest_interval = 14'200us;
  CHECK_THAT(summary_text(summary, 2.5),
             Catch::Contains(
                 "\n         820 more left out, the interval up to 14.2 ms: the target would be held for "
                 "over 2.5 % of the time (--max-overhead 0: no limit)\nsamples"));
  summary.left_out = 0;
  CHECK_THAT(summary_text(summary, 5),
             Catch::Contains("\n         not as fast as it goes, the interval up to 14.2 ms: "));
}

TEST_CASE("a run that ended at once has no rate", "[cli]") {
  CHECK_THAT(summary_text(RunSummary{}, 5),
             Catch::StartsWith("ticks    0 asked, 0 taken, 0 late, 0 failed in 0 ns (0.0 "));
}

TEST_CASE("a run without a stack says why", "[cli]") {
  RunSummary summary;
  CHECK(no_stack_text(summary, Mode::wall) == "no stack taken: the run ended before its first tick");
  summary.asked = 10;
  CHECK(no_stack_text(summary, Mode::wall) ==
        "no stack taken in 10 ticks: all were late; the machine has no CPU to spare");
  summary.taken = 10;
  CHECK(no_stack_text(summary, Mode::wall) == "no stack taken in 10 ticks: no thread had a Python stack");
  CHECK_THAT(no_stack_text(summary, Mode::active), Catch::Contains("without -x"));
  CHECK_THAT(no_stack_text(summary, Mode::cpu), Catch::Contains("without --mode cpu"));
  CHECK_THAT(no_stack_text(summary, Mode::gil), Catch::Contains("without -g"));
}

TEST_CASE("a run with nothing but marks says that nothing could be read", "[cli]") {
  RunSummary summary;
  summary.asked = summary.taken = 10;
  summary.samples = summary.unreadable = 3;
  CHECK(no_stack_text(summary, Mode::wall) ==
        "no stack taken in 10 ticks: 3 samples taken, none of which could be read");
}

TEST_CASE("a run whose ticks failed gives each reason, the most frequent first", "[cli]") {
  RunSummary summary;
  summary.asked = 10;
  failed(summary, TickFailure::already_traced) = 2;
  failed(summary, TickFailure::no_interpreter) = 8;
  CHECK(no_stack_text(summary, Mode::wall) ==
        "no stack taken in 10 ticks: 8 failed, no initialised Python in the process; "
        "2 failed, another tracer held the thread");
}

TEST_CASE("a run whose ticks all failed by a refusal is one, whatever idle threads it has seen", "[cli]") {
  RunSummary summary;
  summary.asked = 10;
  summary.late = 1;
  summary.samples = 18;
  failed(summary, TickFailure::refused) = 9;
  const auto refused = refused_stops(summary, Pid{42}, true);
  REQUIRE(refused);
  CHECK(refused->kind() == ErrorKind::permission);
  CHECK_THAT(refused->what(), Catch::Contains("process 42 could be sampled in 9 ticks: the kernel refused"));
  CHECK_THAT(refused->hint(), Catch::Contains("--hold preempt"));
  CHECK(refused_stops(summary, Pid{42}, false)->hint() == "use --hold none");
  failed(summary, TickFailure::unreadable) = 1;
  CHECK_FALSE(refused_stops(summary, Pid{42}, true));
  failed(summary, TickFailure::unreadable) = 0;
  summary.taken = 1;
  CHECK_FALSE(refused_stops(summary, Pid{42}, true));
}

TEST_CASE("the progress line says how far the run is", "[cli]") {
  CHECK(progress_text(Pid{4242}, 3200ms, 10s, 320, 960) ==
        "sampling 4242: 3.2 of 10 s, 320 ticks, 960 samples");
  CHECK(progress_text(Pid{4242}, 100ms, 500ms, 1, 1) == "sampling 4242: 0.1 of 0.5 s, 1 tick, 1 sample");
}

TEST_CASE("the progress line of a run without an end names none", "[cli]") {
  CHECK(progress_text(Pid{4242}, 3200ms, std::nullopt, 320, 960) ==
        "sampling 4242: 3.2 s, 320 ticks, 960 samples");
}

TEST_CASE("the progress line always fits 80 columns", "[cli]") {
  CHECK(progress_text(Pid{2147483647}, 999'999'999s, 1'000'000'000s, UINT64_MAX, UINT64_MAX).size() < 80);
}

TEST_CASE("a time has the unit that suits it", "[cli]") {
  CHECK(time_text(0ns) == "0 ns");
  CHECK(time_text(999ns) == "999 ns");
  CHECK(time_text(1'500ns) == "1.50 us");
  CHECK(time_text(14'200ns) == "14.2 us");
  CHECK(time_text(999'999ns) == "1000 us");
  CHECK(time_text(123ms) == "123 ms");
  CHECK(time_text(61s) == "61.0 s");
}

TEST_CASE("a process that ends early is told with the time and the way of its end", "[cli]") {
  const auto text = [](std::optional<int> status) { return early_end_text(Pid{42}, 1440ms, 10s, status); };
  CHECK(text(std::nullopt) == "process 42 ended after 1.4 of 10 s");
  CHECK(text(0) == "process 42 ended after 1.4 of 10 s, with status 0");
  CHECK(text(3 << 8) == "process 42 ended after 1.4 of 10 s, with status 3");
  CHECK(text(SIGKILL) == "process 42 ended after 1.4 of 10 s, killed by signal 9 (SIGKILL)");
  CHECK(text(SIGSEGV | 0x80) == "process 42 ended after 1.4 of 10 s, killed by signal 11 (SIGSEGV)");
  CHECK(text(40) == "process 42 ended after 1.4 of 10 s, killed by signal 40");
  CHECK(early_end_text(Pid{42}, 1440ms, std::nullopt, 0) == "process 42 ended after 1.4 s, with status 0");
}

}  // namespace sampler
