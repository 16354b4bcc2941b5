#include "sampler/process/preemption.h"

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <new>
#include <thread>
#include <vector>

#include "catch.h"
#include "not_run.h"
#include "sampler/process/thread_watches.h"
#include "traced_child.h"

namespace sampler {
namespace {

bool are_equal(const CpuSet& a, const CpuSet& b) {
  return CPU_EQUAL_S(sizeof a, a.data(), b.data()) != 0;
}

bool pin(Tid tid, int cpu) {
  CpuSet set{};
  CPU_SET_S(static_cast<std::size_t>(cpu), sizeof set, set.data());
  return ::sched_setaffinity(number(tid), sizeof set, set.data()) == 0;
}

int our_policy() {
  return ::sched_getscheduler(0) & ~SCHED_RESET_ON_FORK;
}

/// Whether a test that needs two CPUs can be run.
bool has_two_cpus() {
  const bool has = our_cpus().size() > 1;
  if (!has) not_run("there is one CPU only", "on a machine with two CPUs");
  return has;
}

/// We may use one CPU only, for as long as this lives.
class OnlyCpu {
 public:
  explicit OnlyCpu(int cpu) { REQUIRE(pin(Tid{0}, cpu)); }
  OnlyCpu(const OnlyCpu&) = delete;
  OnlyCpu& operator=(const OnlyCpu&) = delete;
  ~OnlyCpu() { ::sched_setaffinity(0, sizeof before_, before_.data()); }

 private:
  CpuSet before_ = affinity();
};

/// We have no CAP_SYS_NICE, for as long as this lives.
class NoPriorities {
 public:
  NoPriorities() {
    REQUIRE(::syscall(SYS_capget, &header_, before_.data()) == 0);
    auto fewer = before_;
    fewer[0].effective &= ~(1U << static_cast<unsigned>(CAP_SYS_NICE));
    REQUIRE(::syscall(SYS_capset, &header_, fewer.data()) == 0);
  }
  NoPriorities(const NoPriorities&) = delete;
  NoPriorities& operator=(const NoPriorities&) = delete;
  ~NoPriorities() { ::syscall(SYS_capset, &header_, before_.data()); }

 private:
  __user_cap_header_struct header_{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> before_{};
};

/// A child that counts as fast as it can, and how it is watched.
struct CountingChild {
  BusyChild child;
  ThreadWatch watch{child.pid(), child.tid()};

  CountingChild() = default;
  explicit CountingChild(int cpu) { move_to(cpu); }

  [[nodiscard]] ThreadPlace place() const {
    const auto place = watch.place();
    REQUIRE(place);
    return *place;
  }
  void move_to(int cpu) const {
    REQUIRE(pin(child.tid(), cpu));
    REQUIRE(comes_true([&] { return place().cpu == cpu; }));
  }
};

/// A child that waits, and runs when it is told to.
struct WaitingChild {
  Pipe go, done;
  TestChild child{[&] {
    while (go.take()) done.give();
  }};
  ThreadWatch watch{child.pid(), child.tid()};

  WaitingChild() { wait_to_wait(); }
  explicit WaitingChild(int cpu) {
    REQUIRE(pin(child.tid(), cpu));
    run();  // it moves only when it runs
    wait_to_wait();
    REQUIRE(place().cpu == cpu);
  }
  void run() const {
    go.give();
    REQUIRE(done.take());
  }
  void wait_to_wait() const {
    REQUIRE(comes_true([&] { return watch.blocked_call().value_or(BlockedCall{}).number == SYS_read; }));
  }
  [[nodiscard]] ThreadPlace place() const { return watch.place().value_or(ThreadPlace{}); }
};

/// What many visits to a child that counts have shown.
struct Visits {
  int proven = 0;
  int proven_falsely = 0;  ///< the child has counted while it was said to have stood still
  int refused = 0;         ///< the proof failed, or we did not get there
};

/// As long as it takes to read a stack: a thread that runs counts hundreds of times.
void take_some_time() {
  for (int i = 0; i < 20; ++i) static_cast<void>(::syscall(SYS_getppid));
}

Visits visit(const CountingChild& counting, int times) {
  Preemptor preemptor;
  Visits visits;
  const auto start = counting.child.progress();
  for (int i = 0; i < times; ++i) {
    auto first = start;
    auto last = start;
    const auto visit = preemptor.visit(counting.watch, counting.place(), [&] {
      first = counting.child.progress();
      take_some_time();
      last = counting.child.progress();
    });
    ++(visit.stood_still ? visits.proven : visits.refused);
    if (visit.stood_still && first != last) ++visits.proven_falsely;
  }
  CAPTURE(visits.proven, visits.refused);
  CHECK(counting.child.progress() > start);
  CHECK(visits.proven_falsely == 0);
  return visits;
}

constexpr int many = 5'000;

bool is_counted() {
  const bool is = ThreadWatch{Pid{::getpid()}, Tid{::getpid()}}.turns().has_value();
  if (!is) not_run("this kernel has no schedstat", "a kernel with CONFIG_SCHEDSTATS");
  return is;
}

}  // namespace

TEST_CASE("a thread that was said to have stood still did, wherever it runs", "[process]") {
  if (!is_counted()) return;
  const auto cpus = our_cpus();
  SECTION("on our CPU") {
    const OnlyCpu only{cpus.front()};
    CHECK(visit(CountingChild{cpus.front()}, many).proven > 0);
  }
  SECTION("on another CPU") {
    CHECK(visit(CountingChild{cpus.back()}, many).proven > 0);
  }
  SECTION("on any CPU") {
    CHECK(visit(CountingChild{}, many).proven > 0);
  }
  SECTION("on any CPU, with more threads that run than there are CPUs") {
    const std::vector<BusyChild> others(cpus.size());
    CHECK(visit(CountingChild{}, many).proven > 0);
  }
}

TEST_CASE("the same holds without the right to realtime priority", "[process]") {
  if (!is_counted()) return;
  const NoPriorities ordinary;
  CHECK_FALSE(can_be_realtime());
  CHECK(visit(CountingChild{}, many).proven > 0);
}

TEST_CASE("a thread that was said to have waited for our CPU has not run", "[process]") {
  if (!is_counted()) return;
  const OnlyCpu only{our_cpus().front()};
  const CountingChild counting{our_cpus().front()};
  ThreadWatches watches{counting.child.pid()};
  int proven = 0;
  int proven_falsely = 0;
  for (int i = 0; i < many; ++i) {
    const OwnTurn ours;
    const auto turns = watches.of(counting.child.tid()).turns();
    const auto place = watches.place_of(counting.child.tid());
    const auto first = counting.child.progress();
    take_some_time();
    const auto last = counting.child.progress();
    if (!place || place->cpu != ours.cpu()) continue;
    if (!watches.has_waited(counting.child.tid(), turns, ours)) continue;
    ++proven;
    proven_falsely += first == last ? 0 : 1;
  }
  CHECK(proven > 0);
  CHECK(proven_falsely == 0);
  CHECK(counting.child.makes_progress());
}

TEST_CASE("a thread on another CPU than ours, or one that ran meanwhile, has not waited for it",
          "[process]") {
  if (!is_counted() || !has_two_cpus()) return;
  const auto cpus = our_cpus();
  const OnlyCpu only{cpus.front()};
  const CountingChild counting{cpus.back()};
  ThreadWatches watches{counting.child.pid()};
  const auto tid = counting.child.tid();
  const OwnTurn ours;
  CHECK_FALSE(watches.has_waited(tid, watches.of(tid).turns(), ours));
  counting.move_to(cpus.front());
  REQUIRE(counting.child.makes_progress());  // we let it have our CPU
  CHECK_FALSE(watches.has_waited(tid, watches.of(tid).turns(), ours));
  CHECK_FALSE(watches.has_waited(tid, std::nullopt, OwnTurn{}));
}

TEST_CASE("a visit is prompt where its visitor has realtime priority", "[process]") {
  const int cpu = our_cpus().back();
  CHECK_FALSE(Preemptor{Priority::normal}.is_prompt_on(cpu));
  CHECK(Preemptor{}.is_prompt_on(cpu) == can_be_realtime());
  CHECK_FALSE(Preemptor{}.is_prompt_on(-1));
  const NoPriorities ordinary;
  CHECK_FALSE(Preemptor{}.is_prompt_on(cpu));
}

TEST_CASE("a thread's turns alone prove nothing of a thread that runs", "[process]") {
  // The oracle of the tests above can tell: this is their loop without a visit.
  if (!is_counted() || !has_two_cpus()) return;
  const auto cpus = our_cpus();
  const OnlyCpu ours{cpus.front()};
  const CountingChild counting{cpus.back()};
  int proven_falsely = 0;
  CHECK(comes_true([&] {
    const auto turns = counting.watch.turns();
    const auto first = counting.child.progress();
    take_some_time();
    const auto last = counting.child.progress();
    if (counting.watch.turns() == turns && first != last) ++proven_falsely;
    return proven_falsely > 1'000;
  }));
}

TEST_CASE("a thread stands still while we are on its CPU and runs on afterwards", "[process]") {
  if (!is_counted()) return;
  const auto cpu = our_cpus().back();
  const CountingChild counting{cpu};
  Preemptor preemptor;
  CHECK(comes_true([&] {
    bool stood_still = false;
    const auto visit = preemptor.visit(counting.watch, counting.place(), [&] {
      const auto before = counting.child.progress();
      // 100 us: no kernel hands a CPU from one thread to the next so fast without a reason.
      for (int i = 0; i < 1'000; ++i) static_cast<void>(::syscall(SYS_getppid));
      stood_still = counting.child.progress() == before;
    });
    return stood_still && visit.arrival == Arrival::there && visit.stood_still;
  }));
  CHECK(counting.child.makes_progress());
}

TEST_CASE("a visit is told with when it was, and is over when it is told", "[process]") {
  if (!is_counted()) return;
  const WaitingChild waiting;
  Preemptor preemptor;
  const auto before = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point first, last;
  const auto visit = preemptor.visit(waiting.watch, waiting.place(), [&] {
    first = std::chrono::steady_clock::now();
    last = std::chrono::steady_clock::now();
  });
  CHECK(visit.arrival == Arrival::there);
  CHECK(visit.stood_still);
  CHECK((before <= visit.since && visit.since <= first));
  CHECK((last <= visit.until && visit.until <= std::chrono::steady_clock::now()));
}

TEST_CASE("who calls reads, where that is on another CPU", "[process]") {
  if (!is_counted() || !has_two_cpus()) return;
  const auto cpus = our_cpus();
  Preemptor preemptor;
  const OnlyCpu ours{cpus.front()};
  const CountingChild counting{cpus.back()};
  const auto caller = std::this_thread::get_id();
  CHECK(comes_true([&] {
    auto reader = std::thread::id{};
    const auto read = [&] { reader = std::this_thread::get_id(); };
    return preemptor.visit(counting.watch, counting.place(), read).stood_still && reader == caller;
  }));
}

TEST_CASE("what takes long is read by the visitor, which does not leave before its end", "[process]") {
  if (!is_counted() || !has_two_cpus()) return;
  const auto cpus = our_cpus();
  Preemptor preemptor;
  const OnlyCpu ours{cpus.front()};
  const CountingChild counting{cpus.back()};
  CHECK(comes_true([&] {
    std::vector<int> readers;
    bool stood_still = false;
    const auto visit = preemptor.visit(counting.watch, counting.place(), [&] {
      readers.push_back(::sched_getcpu());
      const auto before = counting.child.progress();
      const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds{1};
      while (std::chrono::steady_clock::now() < end) continue;
      stood_still = counting.child.progress() == before;
    });
    return visit.stood_still && stood_still && readers == std::vector{cpus.front(), cpus.back()};
  }));
}

TEST_CASE("nothing is proven while the visitor itself lost the CPU", "[process]") {
  if (!is_counted() || !has_two_cpus()) return;
  const auto cpus = our_cpus();
  Preemptor preemptor;
  const OnlyCpu ours{cpus.front()};
  // It comes to the visited CPU for a moment, and goes before the visitor.
  Pipe go, done;
  const TestChild other{[&] {
    run_on(cpus.back());
    const sched_param high{2};
    if (::sched_setscheduler(0, SCHED_FIFO, &high) != 0) return;
    while (go.take()) done.give();
  }};
  if (!comes_true([&] { return ::sched_getscheduler(number(other.pid())) == SCHED_FIFO; })) {
    return not_run("realtime priority is not to be had", as_root);
  }
  const WaitingChild waiting{cpus.back()};
  REQUIRE(comes_true([&] { return preemptor.visit(waiting.watch, waiting.place(), [] {}).stood_still; }));
  const auto caller = std::this_thread::get_id();
  int proven = 0;
  // Where it takes longer than the visitor stays, the visitor reads, undisturbed.
  REQUIRE(comes_true([&] {
    bool has_read_here = false;
    const auto visit = preemptor.visit(waiting.watch, waiting.place(), [&] {
      has_read_here = std::this_thread::get_id() == caller;
      if (!has_read_here) return;
      go.give();
      CHECK(done.take());
    });
    if (has_read_here) proven += visit.stood_still ? 1 : 0;
    return has_read_here;
  }));
  CHECK(proven == 0);
}

TEST_CASE("a thread that ran while we were blocked on its CPU did not stand still", "[process]") {
  if (!is_counted()) return;
  const WaitingChild waiting{our_cpus().front()};
  Preemptor preemptor;
  const auto visit = preemptor.visit(waiting.watch, waiting.place(), [&] { waiting.run(); });
  CHECK(visit.arrival == Arrival::there);
  CHECK_FALSE(visit.stood_still);
}

TEST_CASE("a thread that ran elsewhere did not stand still, whether it came back or not", "[process]") {
  if (!is_counted() || !has_two_cpus()) return;
  const auto cpus = our_cpus();
  const CountingChild counting{cpus.front()};
  const bool comes_back = GENERATE(false, true);
  Preemptor preemptor;
  bool was_read = false;
  bool stood_still = true;
  REQUIRE(comes_true([&] {
    const auto visit = preemptor.visit(counting.watch, counting.place(), [&] {
      was_read = true;
      CHECK(pin(counting.child.tid(), cpus.back()));
      CHECK(counting.child.makes_progress());
      if (comes_back) CHECK(pin(counting.child.tid(), cpus.front()));
    });
    stood_still = visit.stood_still;
    return was_read;
  }));
  CHECK_FALSE(stood_still);
}

TEST_CASE("a thread that is not where it was said to be has moved", "[process]") {
  if (!is_counted() || !has_two_cpus()) return;
  const auto cpus = our_cpus();
  const CountingChild counting{cpus.front()};
  Preemptor preemptor;
  const auto visit = preemptor.visit(counting.watch, {.state = 'R', .cpu = cpus.back()},
                                     [] { FAIL("nothing is to be read"); });
  CHECK(visit.arrival == Arrival::moved);
  CHECK_FALSE(visit.stood_still);
}

TEST_CASE("a thread that ends during a visit did not stand still", "[process]") {
  if (!is_counted()) return;
  WaitingChild waiting;
  Preemptor preemptor;
  const auto visit = preemptor.visit(waiting.watch, waiting.place(), [&] { waiting.child.end(); });
  CHECK_FALSE(visit.stood_still);
  const auto late = preemptor.visit(waiting.watch, {.state = 'S', .cpu = our_cpus().front()},
                                    [] { FAIL("nothing is to be read"); });
  CHECK(late.arrival == Arrival::ended);
  CHECK_FALSE(late.stood_still);
}

TEST_CASE("a zombie has ended", "[process]") {
  const TestChild child{[] {}};
  const ThreadWatch watch{child.pid(), child.tid()};
  REQUIRE(comes_true([&] { return state_of(watch) == 'Z'; }));
  Preemptor preemptor;
  CHECK(preemptor.visit(watch, *watch.place(), [] {}).arrival == Arrival::ended);
  const ThreadPlace outdated{.state = 'R', .cpu = our_cpus().front()};
  CHECK(preemptor.visit(watch, outdated, [] {}).arrival == Arrival::ended);
}

TEST_CASE("a CPU that is not ours is not visited", "[process]") {
  const WaitingChild waiting{our_cpus().back()};
  const auto read = [] { FAIL("nothing is to be read"); };
  SECTION("because we were told to keep to others") {
    if (!has_two_cpus()) return;
    const OnlyCpu ours{our_cpus().front()};
    Preemptor preemptor;
    const auto visit = preemptor.visit(waiting.watch, waiting.place(), read);
    CHECK(visit.arrival == Arrival::not_ours);
    CHECK_FALSE(visit.stood_still);
  }
  SECTION("because there is none of this number") {
    Preemptor preemptor;
    for (const int cpu : {-1, 8'191, 8'192, 1 << 30}) {
      CHECK(preemptor.visit(waiting.watch, {.state = 'R', .cpu = cpu}, read).arrival == Arrival::not_ours);
    }
  }
}

TEST_CASE("a thread of realtime priority is not visited", "[process]") {
  const WaitingChild waiting;
  const sched_param low{1};
  if (::sched_setscheduler(number(waiting.child.pid()), SCHED_FIFO, &low) != 0) {
    return not_run("realtime priority is not to be had", as_root);
  }
  REQUIRE(waiting.place().is_realtime);
  Preemptor preemptor;
  CHECK(preemptor.visit(waiting.watch, waiting.place(), [] {}).arrival == Arrival::realtime);
}

TEST_CASE("visits change neither our affinity nor our policy", "[process]") {
  if (!is_counted()) return;
  const CountingChild counting;
  const auto before = affinity();
  const int policy = our_policy();
  Preemptor preemptor;
  for (int i = 0; i < 100; ++i) static_cast<void>(preemptor.visit(counting.watch, counting.place(), [] {}));
  CHECK(are_equal(affinity(), before));
  CHECK(our_policy() == policy);
}

TEST_CASE("what reading throws is thrown to who asked for it, and the next visit is as any", "[process]") {
  if (!is_counted()) return;
  const WaitingChild waiting;
  Preemptor preemptor;
  CHECK_THROWS_AS(preemptor.visit(waiting.watch, waiting.place(), [] { throw std::bad_alloc{}; }),
                  std::bad_alloc);
  CHECK(preemptor.visit(waiting.watch, waiting.place(), [] {}).stood_still);
}

TEST_CASE("where we have one CPU only a thread on it can be held still", "[process]") {
  if (!is_counted()) return;
  const auto cpu = our_cpus().back();
  const OnlyCpu only{cpu};
  const CountingChild counting{cpu};
  Preemptor preemptor;
  CHECK(comes_true([&] {
    const auto visit = preemptor.visit(counting.watch, counting.place(), [] {});
    REQUIRE(visit.arrival == Arrival::there);
    return visit.stood_still;
  }));
}

}  // namespace sampler
