#pragma once

#include <array>
#include <chrono>
#include <cstdint>

#include "sampler/model/run.h"

namespace sampler {

/// Collects how long threads were held, in constant memory: quantiles are exact to 3 %.
class HoldClock {
 public:
  using Time = std::chrono::steady_clock::time_point;

  /// A thread was held, maybe together with others; those that came before ended no later.
  void add(Time start, Time end) noexcept;
  [[nodiscard]] HoldTimes times() const noexcept;
  /// How long anybody was held.
  [[nodiscard]] std::chrono::nanoseconds wall() const noexcept { return wall_; }

 private:
  // 32 steps per doubling, from 1 ns to 2^40 ns (18 minutes).
  static constexpr std::size_t steps = 32;
  static constexpr std::size_t doublings = 40;

  void count(std::chrono::nanoseconds held) noexcept;
  [[nodiscard]] std::chrono::nanoseconds quantile(double share) const noexcept;

  std::array<std::uint64_t, steps * doublings> buckets_{};
  std::uint64_t count_ = 0;
  std::chrono::nanoseconds total_{0};
  std::chrono::nanoseconds wall_{0};
  Time last_end_;
};

}  // namespace sampler
