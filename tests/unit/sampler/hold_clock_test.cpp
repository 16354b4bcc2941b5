#include "sampler/sampler/hold_clock.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <vector>

#include "catch.h"

namespace sampler {
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

HoldTimes times_of(const std::vector<nanoseconds>& held) {
  HoldClock clock;
  HoldClock::Time now{};
  for (const auto time : held) {
    clock.add(now, now + time);
    now += time;
  }
  return clock.times();
}

/// The smallest time that `share` of all are no longer than.
nanoseconds exact_quantile(std::vector<nanoseconds> held, double share) {
  std::sort(held.begin(), held.end());
  return held.at(static_cast<std::size_t>(std::ceil(share * static_cast<double>(held.size()))) - 1);
}

bool is_near(nanoseconds measured, nanoseconds exact) {
  const auto ratio = static_cast<double>(measured.count()) / static_cast<double>(exact.count());
  return ratio > 0.97 && ratio < 1.03;
}

/// Times from 500 ns to 20 ms, as many in each doubling.
std::vector<nanoseconds> log_uniform_times(std::size_t count) {
  std::mt19937_64 random{42};
  std::uniform_real_distribution<double> exponent{std::log(500.0), std::log(20e6)};
  std::vector<nanoseconds> held(count);
  std::generate(held.begin(), held.end(),
                [&] { return nanoseconds{std::llround(std::exp(exponent(random)))}; });
  return held;
}

}  // namespace

TEST_CASE("a clock that saw no hold says nothing", "[sampler]") {
  const auto times = HoldClock{}.times();
  CHECK(times.count == 0);
  CHECK(times.median == 0ns);
  CHECK(times.p99 == 0ns);
  CHECK(times.total == 0ns);
}

TEST_CASE("count and total of holds are exact", "[sampler]") {
  const auto held = log_uniform_times(10'000);
  const auto times = times_of(held);
  CHECK(times.count == 10'000);
  CHECK(times.total == std::accumulate(held.begin(), held.end(), 0ns));
}

TEST_CASE("threads that are held together cost the time of one", "[sampler]") {
  constexpr HoldClock::Time start{1s};
  HoldClock clock;
  clock.add(start, start + 50us);
  clock.add(start, start + 60us);
  clock.add(start, start + 60us);
  clock.add(start + 1ms, start + 1ms + 10us);
  CHECK(clock.times().count == 4);
  CHECK(clock.times().total == 180us);
  CHECK(clock.wall() == 70us);
  CHECK(clock.times().wall == 70us);
}

TEST_CASE("quantiles of many holds are exact to 3 %", "[sampler]") {
  const auto held = log_uniform_times(10'001);
  const auto times = times_of(held);
  CHECK(is_near(times.median, exact_quantile(held, 0.5)));
  CHECK(is_near(times.p99, exact_quantile(held, 0.99)));
}

TEST_CASE("quantiles of few holds are those of the sorted times", "[sampler]") {
  const std::vector<nanoseconds> held{90us, 10us, 50us, 1ms};
  const auto times = times_of(held);
  CHECK(is_near(times.median, 50us));
  CHECK(is_near(times.p99, 1ms));
}

TEST_CASE("one hold is its own median", "[sampler]") {
  const auto times = times_of({14'200ns});
  CHECK(is_near(times.median, 14'200ns));
  CHECK(is_near(times.p99, 14'200ns));
}

TEST_CASE("one long hold in a hundred is not the 99th percentile, two are", "[sampler]") {
  std::vector<nanoseconds> held(100, 10us);
  held[3] = 5ms;
  CHECK(is_near(times_of(held).p99, 10us));
  held[4] = 5ms;
  CHECK(is_near(times_of(held).p99, 5ms));
}

TEST_CASE("holds of no time and of hours are counted", "[sampler]") {
  const auto none = times_of({0ns});
  CHECK(none.count == 1);
  CHECK(none.median <= 1ns);
  const auto hours = times_of({10h});
  CHECK(hours.count == 1);
  CHECK(hours.median > 10min);
  CHECK(hours.total == 10h);
}

}  // namespace sampler
