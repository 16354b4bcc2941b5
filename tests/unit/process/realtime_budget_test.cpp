#include "sampler/process/realtime_budget.h"

#include <sched.h>

#include <thread>
#include <vector>

#include "catch.h"
#include "not_run.h"
#include "test_child.h"

namespace sampler {
namespace {

using namespace std::chrono_literals;

bool is_realtime() {
  return (::sched_getscheduler(0) & ~SCHED_RESET_ON_FORK) == SCHED_FIFO;
}

bool has_realtime() {
  const bool has = can_be_realtime();
  if (!has) not_run("realtime priority is not to be had", as_root);
  return has;
}

}  // namespace

TEST_CASE("a thread that works for a quarter of the time at most stays realtime", "[process]") {
  if (!has_realtime()) return;
  std::vector<bool> was;
  bool is_after = true;
  std::thread{[&] {
    {
      RealtimeBudget budget;
      was.push_back(is_realtime());
      for (int i = 0; i < 1'000; ++i) budget.spend(250us, 1ms);
      was.push_back(is_realtime());
      budget.spend(4ms, 4ms);  // some is left
      was.push_back(is_realtime());
    }
    is_after = is_realtime();
  }}.join();
  CHECK(was == std::vector{true, true, true});
  CHECK_FALSE(is_after);
}

TEST_CASE("a thread that works for more is an ordinary one until it has rested", "[process]") {
  if (!has_realtime()) return;
  std::vector<bool> was;
  std::thread{[&] {
    RealtimeBudget budget;
    for (int i = 0; i < 90; ++i) budget.spend(300us, 1ms);
    was.push_back(is_realtime());
    for (int i = 0; i < 10; ++i) budget.spend(300us, 1ms);
    was.push_back(is_realtime());
    budget.spend(1s, 1s);
    budget.spend(0ms, 9ms);
    was.push_back(is_realtime());
    budget.spend(0ms, 2ms);
    was.push_back(is_realtime());
  }}.join();
  // 50 us too much each time: 5 ms are gone before the hundredth.
  CHECK(was == std::vector{true, false, false, true});
}

TEST_CASE("a thread is realtime only while that is wanted, and within its budget", "[process]") {
  if (!has_realtime()) return;
  std::vector<bool> was;
  std::thread{[&] {
    RealtimeBudget budget{false};
    was.push_back(is_realtime());
    budget.spend(0ms, 1s);
    was.push_back(is_realtime());
    budget.want(true);
    was.push_back(is_realtime());
    budget.want(false);
    was.push_back(is_realtime());
    budget.spend(4ms, 4ms);  // less than half is left
    budget.want(true);
    was.push_back(is_realtime());
    budget.spend(0ms, 9ms);
    was.push_back(is_realtime());
  }}.join();
  CHECK(was == std::vector{false, false, true, false, false, true});
}

TEST_CASE("long work is done as an ordinary thread, and counts", "[process]") {
  if (!has_realtime()) return;
  std::vector<bool> was;
  std::thread{[&] {
    RealtimeBudget budget;
    budget.give_up();
    was.push_back(is_realtime());
    budget.spend(1ms, 1ms);
    was.push_back(is_realtime());
    budget.give_up();
    budget.spend(100ms, 100ms);
    was.push_back(is_realtime());
  }}.join();
  CHECK(was == std::vector{false, true, false});
}

}  // namespace sampler
