#include "sampler/process/thread_watch.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <string>

#include "catch.h"
#include "not_run.h"
#include "test_child.h"
#include "traced_child.h"

namespace sampler {
namespace {

/// From now on we are another user, with CAP_SYS_PTRACE and nothing else.
bool keep_only_trace_capability() {
  constexpr uid_t nobody = 65534;
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> sets{};
  sets[0].effective = sets[0].permitted = 1U << 19U;
  return ::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0 && ::setresgid(nobody, nobody, nobody) == 0 &&
         ::setresuid(nobody, nobody, nobody) == 0 && ::syscall(SYS_capset, &header, sets.data()) == 0;
}

}  // namespace

TEST_CASE("a blocked call is its number and first argument", "[process]") {
  const auto call = parse_blocked_call("202 0x7f31a4000b60 0x189 0x0 0x0 0x0 0xffffffff 0x7ffd10 0x7f3a\n");
  REQUIRE(call);
  CHECK(call->number == 202);
  CHECK(call->first_argument == 0x7f31a4000b60);
}

TEST_CASE("the call of number 0 is a call", "[process]") {
  const auto call = parse_blocked_call("0 0x3 0x7f6d 0x20000 0x0 0x0 0x0 0x7ffc 0x7f6d\n");
  REQUIRE(call);
  CHECK(call->number == 0);
  CHECK(call->first_argument == 3);
}

TEST_CASE("a thread that runs is in no call", "[process]") {
  CHECK_FALSE(parse_blocked_call("running\n"));
}

TEST_CASE("a thread that is blocked outside of calls is in no call", "[process]") {
  CHECK_FALSE(parse_blocked_call("-1 0x7ffd4a2b1c60 0x7f31a4000b60\n"));
}

TEST_CASE("a text that is no call is refused", "[process]") {
  CHECK_FALSE(parse_blocked_call(""));
  CHECK_FALSE(parse_blocked_call("\n"));
  CHECK_FALSE(parse_blocked_call(" 5 0x1"));
  CHECK_FALSE(parse_blocked_call("5"));
  CHECK_FALSE(parse_blocked_call("5 "));
  CHECK_FALSE(parse_blocked_call("5 0x"));
  CHECK_FALSE(parse_blocked_call("5 0xzz"));
  CHECK_FALSE(parse_blocked_call("5 12"));
  CHECK_FALSE(parse_blocked_call("0x5 0x1"));
  CHECK_FALSE(parse_blocked_call("99999999999999999999 0x1"));
  CHECK_FALSE(parse_blocked_call("5 0x11111111111111111"));
}

TEST_CASE("departures are those that were asked for and those that were not", "[process]") {
  CHECK(parse_departures("Name:\tx\nvoluntary_ctxt_switches:\t40\nnonvoluntary_ctxt_switches:\t2\n") == 42);
  CHECK_FALSE(parse_departures("voluntary_ctxt_switches:\t40\n"));
  CHECK_FALSE(parse_departures("nonvoluntary_ctxt_switches:\t2\n"));
  CHECK_FALSE(parse_departures(""));
}

TEST_CASE("with the capability alone a thread's calls are closed, and its turns tell whether it is on a CPU",
          "[process]") {
  const Pipe wait;
  const TestChild blocked{[&] { (void)wait.take(); }};
  const BusyChild busy;
  const SharedPage seen;
  const TestChild us{[&] {
    if (!keep_only_trace_capability()) return;
    const ThreadWatch its{blocked.pid(), blocked.tid()};
    const ThreadWatch other{busy.pid(), busy.tid()};
    bool is_told = its.hides_calls() && !its.blocked_call() && !its.stack_pointer();
    is_told = is_told && comes_true([&] { return !its.is_on_cpu(); });
    is_told = is_told && comes_true([&] { return other.is_on_cpu(); });
    for (int i = 0; i < 1000; ++i) is_told = is_told && !its.is_on_cpu();
    seen->progress = is_told ? 1 : 2;
  }};
  REQUIRE(::waitpid(number(us.pid()), nullptr, 0) == number(us.pid()));
  if (seen->progress == 0) return not_run("a user with CAP_SYS_PTRACE cannot be made here", with_more_rights);
  CHECK(seen->progress == 1);
}

TEST_CASE("a watch that may see calls does not hide them", "[process]") {
  CHECK_FALSE(ThreadWatch{Pid{::getpid()}, Tid{::getpid()}}.hides_calls());
}

TEST_CASE("where no more files may be open a thread is told to lack them", "[process]") {
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  const rlimit few{8, before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &few) == 0);
  const ThreadWatch watch{Pid{::getpid()}, Tid{::getpid()}};
  ::setrlimit(RLIMIT_NOFILE, &before);
  CHECK(watch.lacks_files());
  CHECK_FALSE(state_of(watch));
  CHECK_FALSE(ThreadWatch{Pid{::getpid()}, Tid{::getpid()}}.lacks_files());
}

TEST_CASE("a thread that blocks again has lost its CPU once more", "[process]") {
  const Pipe go;
  const Pipe done;
  const TestChild child{[&] {
    while (go.take()) done.give();
  }};
  ThreadWatch watch{child.pid(), child.tid()};
  REQUIRE(comes_true([&] { return watch.blocked_call().has_value(); }));
  const auto before = watch.departures();
  REQUIRE(before);
  CHECK(watch.departures() == before);
  go.give();
  REQUIRE(done.take());
  REQUIRE(comes_true([&] { return watch.blocked_call().has_value(); }));
  CHECK(watch.departures() > before);
}

TEST_CASE("a thread that waits on a pipe sleeps in read and is given no CPU", "[process]") {
  const Pipe pipe;
  const TestChild child{[&] { (void)pipe.take(); }};
  const ThreadWatch watch{child.pid(), child.tid()};
  // The kernel tells the call only once the thread is off its CPU.
  REQUIRE(comes_true([&] { return watch.blocked_call().value_or(BlockedCall{}).number == SYS_read; }));
  CHECK(watch.blocked_call()->first_argument == static_cast<std::uint64_t>(pipe.read_end.get()));
  CHECK(state_of(watch) == 'S');
  const auto times = watch.turns();
  if (!times) not_run("this kernel has no schedstat", "a kernel with CONFIG_SCHEDSTATS");
  CHECK(watch.turns() == times);
}

TEST_CASE("a thread that is woken is given the CPU again", "[process]") {
  const Pipe pipe;
  const TestChild child{[&] {
    while (pipe.take()) {
    }
  }};
  const ThreadWatch watch{child.pid(), child.tid()};
  REQUIRE(comes_true([&] { return watch.blocked_call().has_value(); }));
  const auto before = watch.turns();
  if (!before) {
    return not_run("this kernel has no schedstat", "a kernel with CONFIG_SCHEDSTATS");
  }
  pipe.give();
  CHECK(comes_true([&] { return watch.turns() > before; }));
}

TEST_CASE("a thread that computes runs and is in no call", "[process]") {
  const SharedPage shared;
  const TestChild child{[&] {
    for (;;) shared->progress.fetch_add(1);
  }};
  const ThreadWatch watch{child.pid(), child.tid()};
  REQUIRE(comes_true([&] { return shared->progress > 0; }));
  CHECK(state_of(watch) == 'R');
  CHECK_FALSE(watch.blocked_call());
}

TEST_CASE("a thread tells the CPU it runs on", "[process]") {
  const int our_cpu = ::sched_getcpu();
  REQUIRE(our_cpu >= 0);
  const SharedPage shared;
  const TestChild child{[&] {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<unsigned>(our_cpu), &one);
    if (::sched_setaffinity(0, sizeof one, &one) != 0) return;
    for (;;) shared->progress.fetch_add(1);
  }};
  const ThreadWatch watch{child.pid(), child.tid()};
  REQUIRE(comes_true([&] { return shared->progress > 0; }));
  CHECK(watch.place() == ThreadPlace{'R', our_cpu, false});
}

TEST_CASE("a thread's state and CPU come from one text", "[process]") {
  const std::string behind =
      " 1 2 2 0 -1 4194304 100 0 0 0 0 0 0 0 20 0 1 0 1303834 31 4 18 9 9 1 0 0 0 0 0 0 0 0 0 17 ";
  CHECK(parse_place("42 (python) R" + behind + "3 0 0 0 0\n") == ThreadPlace{'R', 3, false});
  CHECK(parse_place("42 (a) S (b) c) D" + behind + "127 0\n") == ThreadPlace{'D', 127, false});
  CHECK_FALSE(parse_place("42 (python) R" + behind));
  CHECK_FALSE(parse_place("42 (python) R" + behind + "-1 0\n"));
  CHECK_FALSE(parse_place("42 (python) R 1 2"));
  CHECK_FALSE(parse_place("42 (python) "));
  CHECK_FALSE(parse_place("42 (python"));
  CHECK_FALSE(parse_place(""));
}

TEST_CASE("a realtime thread says so", "[process]") {
  const std::string behind = " 0 1 0 1303834 31 4 18 9 9 1 0 0 0 0 0 0 0 0 0 17 3 1 1\n";
  CHECK(parse_place("42 (python) R 1 2 2 0 -1 4 100 0 0 0 0 0 0 0 -2" + behind) == ThreadPlace{'R', 3, true});
  CHECK(parse_place("42 (python) R 1 2 2 0 -1 4 100 0 0 0 0 0 0 0 0" + behind) == ThreadPlace{'R', 3, false});
}

TEST_CASE("a stopped thread says so", "[process]") {
  const Pipe pipe;
  const TestChild child{[&] { (void)pipe.take(); }};
  REQUIRE(::kill(number(child.pid()), SIGSTOP) == 0);
  REQUIRE(::waitpid(number(child.pid()), nullptr, WUNTRACED) == number(child.pid()));
  CHECK(state_of(ThreadWatch{child.pid(), child.tid()}) == 'T');
}

TEST_CASE("a thread that has ended says nothing any more", "[process]") {
  const Pipe pipe;
  TestChild child{[&] { (void)pipe.take(); }};
  const ThreadWatch watch{child.pid(), child.tid()};
  REQUIRE(state_of(watch));
  child.end();
  CHECK_FALSE(state_of(watch));
  CHECK_FALSE(watch.place());
  CHECK_FALSE(watch.turns());
  CHECK_FALSE(watch.blocked_call());
}

TEST_CASE("the stack pointer is the last but one number of a call's text", "[process]") {
  CHECK(parse_stack_pointer("0 0x3 0x7f6d 0x20000 0x0 0x0 0x0 0x7ffc10 0x7f6d\n") == RemoteAddress{0x7ffc10});
  CHECK(parse_stack_pointer("-1 0x7ffd4a2b1c60 0x7f31a4000b60\n") == RemoteAddress{0x7ffd4a2b1c60});
  CHECK_FALSE(parse_stack_pointer("running\n"));
  CHECK_FALSE(parse_stack_pointer(" 0x7ffd\n"));
  CHECK_FALSE(parse_stack_pointer("1 0xzz 0x1\n"));
  CHECK_FALSE(parse_stack_pointer(""));
}

TEST_CASE("a blocked thread's stack pointer lies on its stack", "[process]") {
  const Pipe pipe;
  TestChild child{[&] { (void)pipe.take(); }};
  const ThreadWatch watch{child.pid(), child.tid()};
  while (!watch.blocked_call()) ::usleep(100);
  const auto pointer = watch.stack_pointer();
  REQUIRE(pointer);
  const int here = 0;  // the child is a fork of ours: its stack is where ours is
  CHECK(pointer->value - reinterpret_cast<std::uintptr_t>(&here) + (8U << 20U) < (16U << 20U));
}

TEST_CASE("a thread that never was says nothing", "[process]") {
  const ThreadWatch watch{Pid{::getpid()}, Tid{0}};
  CHECK_FALSE(state_of(watch));
  CHECK_FALSE(watch.place());
  CHECK_FALSE(watch.turns());
  CHECK_FALSE(watch.blocked_call());
}

}  // namespace sampler
