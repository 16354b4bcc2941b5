#include "sampler/sampler/overhead_governor.h"

#include <algorithm>
#include <utility>

#include "catch.h"
#include "sampler/sampler/pacer.h"

namespace sampler {
namespace {

using namespace std::chrono_literals;
using Time = OverheadGovernor::Time;
using Duration = OverheadGovernor::Duration;

constexpr Time start{1'000s};

/// A governor with the schedule that it widens, against a target that each tick holds for `cost`.
class Run {
 public:
  Run(double percent, Duration interval)
      : governor_{percent, interval, start}, pacer_{start, interval, std::nullopt, 7} {}

  /// The share of the next `length` that the target is held, in per cent.
  double held_in(Duration length, Duration cost) {
    const auto end = now_ + length;
    Duration held{0};
    while (std::max(now_, *pacer_.next()) < end) {
      now_ = std::max(now_, *pacer_.next());
      const auto due = pacer_.advance(now_);
      left_out_ += due.left_out;
      if (!due.is_due) continue;
      ++ticks_;
      held += cost;
      governor_.add(cost);
      const auto begin = std::exchange(now_, now_ + cost + work);
      pacer_.set_interval(governor_.after_tick(begin, now_));
    }
    now_ = std::max(now_, end);
    return 100 * std::chrono::duration<double>(held) / length;
  }

  /// A stop takes so long once.
  void hold(Duration held) {
    governor_.add(held);
    now_ += held;
  }

  [[nodiscard]] std::uint64_t ticks() const { return ticks_; }
  [[nodiscard]] std::uint64_t left_out() const { return left_out_; }
  [[nodiscard]] Duration interval() const { return pacer_.interval(); }

 private:
  static constexpr auto work = 10us;  // besides holding the target

  OverheadGovernor governor_;
  Pacer pacer_;
  Time now_ = start;
  std::uint64_t ticks_ = 0;
  std::uint64_t left_out_ = 0;
};

bool is_within(double value, double least, double most) {
  return value >= least && value <= most;
}

}  // namespace

TEST_CASE("a load below the limit is left alone", "[sampler]") {
  Run run{5, 1ms};
  CHECK(is_within(run.held_in(60s, 49us), 4.89, 4.91));
  CHECK(run.ticks() == 60'000);
  CHECK(run.left_out() == 0);
}

TEST_CASE("a load above the limit settles below it, and the interval stays the same", "[sampler]") {
  for (const auto cost : {60us, 200us, 900us, 5'000us}) {
    Run run{5, 1ms};
    run.held_in(1s, cost);
    const auto interval = run.interval();
    CHECK(interval > cost * 20);
    CHECK(interval < cost * 28 + 1ms);
    CHECK(is_within(run.held_in(60s, cost), 2.9, 4.1));
    CHECK(run.interval() == interval);
  }
}

TEST_CASE("a second of any load is below the limit", "[sampler]") {
  for (const auto cost : {20us, 200us, 1'000us}) {
    for (const auto interval : {0us, 100us, 1'000us, 10'000us}) {
      CHECK(Run{5, interval}.held_in(1s, cost) <= 5.1);
    }
  }
}

TEST_CASE("as fast as it goes gets an interval where that holds the target for too long", "[sampler]") {
  Run run{5, 0ns};
  CHECK(is_within(run.held_in(10s, 30us), 3.8, 4.3));
  CHECK(run.interval() == 750us);
  CHECK(run.left_out() == 0);
  Run cheap{5, 0ns};
  CHECK(cheap.held_in(10s, 500ns) > 4.7);
  CHECK(cheap.interval() == 0ns);
}

TEST_CASE("a short burst goes for little", "[sampler]") {
  Run run{5, 1ms};
  CHECK(run.held_in(10s, 10us) < 1.01);
  run.held_in(30ms, 200us);
  run.held_in(10s, 10us);
  CHECK(run.left_out() < 200);
  CHECK(run.interval() == 1ms);
}

TEST_CASE("a window that is unlike those around it is forgotten with the next", "[sampler]") {
  Run run{5, 10ms};
  for (int i = 0; i < 10; ++i) {
    run.held_in(2s, 20us);
    run.hold(30ms);
    run.held_in(20ms, 20us);
    run.hold(30ms);
  }
  run.held_in(1s, 20us);
  CHECK(run.interval() == 10ms);
  CHECK(run.left_out() < 400);
}

TEST_CASE("a single hold that is very long changes nothing", "[sampler]") {
  Run run{5, 1ms};
  for (int i = 0; i < 10; ++i) {
    run.held_in(1s, 20us);
    run.hold(30ms);
  }
  CHECK(run.interval() == 1ms);
  CHECK(run.left_out() == 0);
}

TEST_CASE("a target that computes now and then has one interval for all of its time", "[sampler]") {
  Run run{5, 1ms};
  run.held_in(1s, 500us);
  const auto interval = run.interval();
  for (int i = 0; i < 10; ++i) {
    run.held_in(2s, 0us);
    CHECK(run.interval() == interval);
    run.held_in(1s, 500us);
    CHECK(run.interval() == interval);
  }
}

TEST_CASE("when the load is gone for long the interval is the asked one again", "[sampler]") {
  Run run{5, 1ms};
  run.held_in(10s, 500us);
  run.held_in(11s, 10us);
  CHECK(run.interval() == 1ms);
  const auto before = run.ticks();
  run.held_in(1s, 10us);
  CHECK(run.ticks() - before == 1000);
}

TEST_CASE("a limit of 0 is none", "[sampler]") {
  Run run{0, 1ms};
  run.held_in(10s, 800us);
  CHECK(run.ticks() == 10'000);
  Run fast{0, 0ns};
  CHECK(fast.held_in(1s, 90us) > 89);
}

TEST_CASE("no interval is longer than a second, but for one that was asked for", "[sampler]") {
  Run run{1, 10ms};
  run.held_in(100s, 100ms);
  CHECK(run.interval() == 1s);
  Run slow{1, 5s};
  slow.held_in(100s, 100ms);
  CHECK(slow.interval() == 5s);
}

TEST_CASE("what a late stop holds counts for the ticks around it", "[sampler]") {
  OverheadGovernor governor{5, 1ms, start};
  auto now = start;
  auto interval = governor.after_tick(now, now);
  for (int i = 0; i < 250; ++i) {
    governor.add(100us);
    now += 1ms;
    interval = governor.after_tick(now, now);
  }
  CHECK(interval > 2ms);
  CHECK(interval < 3ms);
}

}  // namespace sampler
