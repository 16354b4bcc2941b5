#include "sampler/process/thread_watches.h"

#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include "catch.h"
#include "not_run.h"
#include "traced_child.h"

namespace sampler {
namespace {

/// Waits until a child is blocked in read(2), off its CPU.
bool becomes_blocked(const ThreadWatch& watch) {
  return comes_true([&] { return watch.blocked_call().has_value(); });
}

}  // namespace

TEST_CASE("a thread is watched by the same files until it is forgotten", "[process]") {
  ThreadWatches watches{Pid{::getpid()}};
  const Tid own{::gettid()};
  const auto* const first = &watches.of(own);
  CHECK(&watches.of(own) == first);
  CHECK(watches.size() == 1);
  CHECK(watches.state_of(own) == 'R');
  watches.forget(own);
  CHECK(watches.size() == 0);
}

TEST_CASE("where few files may be open, those of the threads asked for last are", "[process]") {
  const Pipe go;
  std::vector<std::thread> threads;
  std::vector<Tid> tids(40);
  std::atomic<int> ready = 0;
  for (auto& tid : tids) {
    threads.emplace_back([&] {
      tid = Tid{::gettid()};
      ++ready;
      (void)go.take();
    });
  }
  REQUIRE(comes_true([&] { return ready == static_cast<int>(tids.size()); }));
  {
    // Sixteen are left to others, and there are those that are open already.
    const FewFiles few{16 + 20};
    ThreadWatches watches{Pid{::getpid()}};
    for (int round = 0; round < 2; ++round) {
      for (const auto tid : tids) {
        CHECK(watches.state_of(tid));
        CHECK(&watches.of(tid) == &watches.of(tid));
      }
    }
    CHECK(watches.size() < tids.size());
  }
  for (std::size_t i = 0; i < threads.size(); ++i) go.give();
  for (auto& thread : threads) thread.join();
}

TEST_CASE("only the threads that are named are kept", "[process]") {
  ThreadWatches watches{Pid{::getpid()}};
  static_cast<void>(watches.of(Tid{::getpid()}));
  static_cast<void>(watches.of(Tid{1}));
  static_cast<void>(watches.of(Tid{2}));
  watches.keep_only({::getpid(), 2});
  CHECK(watches.size() == 2);
  const auto* const kept = &watches.of(Tid{::getpid()});
  CHECK(watches.size() == 2);
  CHECK(kept->place());
}

TEST_CASE("a thread that was blocked all the time has stood still, one that ran has not", "[process]") {
  const Pipe go;
  const Pipe done;
  const TestChild child{[&] {
    while (go.take()) done.give();
  }};
  ThreadWatches watches{child.pid()};
  REQUIRE(becomes_blocked(watches.of(child.tid())));
  const auto turns = watches.of(child.tid()).turns();
  if (!turns) {
    return not_run("this kernel has no schedstat", "a kernel with CONFIG_SCHEDSTATS");
  }
  CHECK(watches.has_stood_still(child.tid(), turns));
  CHECK_FALSE(watches.has_stood_still(child.tid(), std::nullopt));
  go.give();
  REQUIRE(done.take());
  REQUIRE(becomes_blocked(watches.of(child.tid())));
  CHECK_FALSE(watches.has_stood_still(child.tid(), turns));
}

TEST_CASE("a thread that runs has not stood still", "[process]") {
  const BusyChild child;
  ThreadWatches watches{child.pid()};
  CHECK_FALSE(watches.has_stood_still(child.tid(), watches.of(child.tid()).turns()));
}

TEST_CASE("a process whose last thread has ended is ending", "[process]") {
  const TestChild child{[] {}};
  ThreadWatches watches{child.pid()};
  CHECK(comes_true([&] { return watches.is_process_ending(); }));
  CHECK_FALSE(ThreadWatches{Pid{::getpid()}}.is_process_ending());
}

TEST_CASE("a process whose first thread alone has ended goes on", "[process]") {
  const Pipe wait;
  HeadlessChild child{[&] { (void)wait.take(); }};
  ThreadWatches watches{child.pid()};
  CHECK(watches.state_of(child.tid()) == 'Z');
  CHECK_FALSE(watches.is_process_ending());
  wait.give();
  CHECK(comes_true([&] { return watches.is_process_ending(); }));
}

}  // namespace sampler
