#include "sampler/process/own_turn.h"

#include <sched.h>
#include <unistd.h>

#include "test_child.h"

namespace sampler {

TEST_CASE("a turn that lasts is one on its CPU", "[process]") {
  CHECK(comes_true([] {
    const OwnTurn turn;
    const int cpu = ::sched_getcpu();
    if (!turn.lasts()) return false;
    CHECK(turn.cpu() == cpu);
    return true;
  }));
}

TEST_CASE("a turn ends where the thread sleeps", "[process]") {
  const OwnTurn turn;
  ::usleep(1);
  CHECK_FALSE(turn.lasts());
}

TEST_CASE("a turn ends where another thread has had the CPU", "[process]") {
  const int cpu = ::sched_getcpu();
  const SharedPage shared;
  const TestChild child{[&] {
    run_on(cpu);
    for (;;) shared->progress.fetch_add(1);
  }};
  bool has_ended = false;
  std::thread{[&] {
    run_on(cpu);
    // Both are to be there by now: it does not count while we have the CPU.
    REQUIRE(comes_true([&] { return ::sched_getcpu() == cpu && shared->progress > 0; }));
    const OwnTurn turn;
    const auto progress = shared->progress.load();
    has_ended = comes_true([&] { return shared->progress > progress; }) && !turn.lasts();
  }}.join();
  CHECK(has_ended);
}

}  // namespace sampler
