#include "sampler/sampler/overhead_governor.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace sampler {
namespace {

/// What is aimed at is a fifth below the limit. That pays for the time until a load is noticed, and a load
/// that varies a little does not change the interval.
constexpr double headroom = 1.25;
/// Fewer ticks tell nothing of their cost...
constexpr double fewest_ticks = 4;
/// ...and so many tell soon that they cost far too much.
constexpr double enough_ticks = 20;

double in_nanoseconds(OverheadGovernor::Duration duration) {
  return static_cast<double>(duration.count());
}

}  // namespace

OverheadGovernor::OverheadGovernor(double percent, Duration interval, Time start)
    : limit_{percent / 100},
      asked_{interval},
      interval_{interval},
      window_{.start = start},
      last_{interval},
      memory_start_{start},
      widest_{interval},
      widest_before_{interval} {}

double OverheadGovernor::cost(const Window& ticks) {
  return in_nanoseconds(ticks.held - ticks.dearest) / (ticks.count - 1);
}

OverheadGovernor::Duration OverheadGovernor::interval_for(const Window& ticks) const {
  const auto needed = cost(ticks) / limit_;
  const auto work = in_nanoseconds(ticks.worked) / ticks.count;
  if (needed <= std::max(in_nanoseconds(asked_), work)) return asked_;
  const auto most = in_nanoseconds(std::max<Duration>(asked_, longest_interval));
  return Duration{std::llround(std::min(needed * headroom, most))};
}

void OverheadGovernor::remember(Duration interval, Time now) {
  if (now - memory_start_ >= memory) {
    widest_before_ = std::exchange(widest_, asked_);
    memory_start_ = now;
  }
  widest_ = std::max(widest_, interval);
}

OverheadGovernor::Duration OverheadGovernor::after_tick(Time start, Time now) {
  if (limit_ <= 0) return asked_;
  ++window_.count;
  window_.worked += now - start;
  window_.dearest = std::max(window_.dearest, held_);
  window_.held += std::exchange(held_, Duration::zero());
  if (window_.count < fewest_ticks) return interval_;
  const auto passed = now - window_.start;
  if (passed >= window) {
    const auto needed = interval_for(window_);
    remember(std::min(needed, std::exchange(last_, needed)), now);
    interval_ = std::max({needed, widest_, widest_before_});
    window_ = {.start = now};
    return interval_;
  }
  const auto held = cost(window_) * window_.count;
  const bool is_spent = held > limit_ * in_nanoseconds(window);
  const bool is_far_above = window_.count >= enough_ticks && held > 2 * limit_ * in_nanoseconds(passed);
  // For this window only, while it may be no more than a burst.
  if (is_spent || is_far_above) interval_ = std::max(interval_, interval_for(window_));
  return interval_;
}

}  // namespace sampler
