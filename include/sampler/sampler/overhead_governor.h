#pragma once

#include <chrono>

namespace sampler {

/// Finds the interval between ticks with which a target is held for no more than a share of the time.
///
/// The interval must not follow what the target does at the moment: were it wider where stopping is dear (the
/// target computes) than where it costs nothing (it waits), the profile would show too little of the first.
/// So it is widened soon, to what the dearest window of the last seconds needs, and kept. Holds no clock:
/// times are given.
class OverheadGovernor {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Duration = std::chrono::nanoseconds;

  /// What a tick costs is found over such a time: a burst is a small part of it.
  static constexpr std::chrono::milliseconds window{200};
  /// What two windows in a row needed is remembered for so long at least, and at most twice as long.
  static constexpr std::chrono::seconds memory{5};
  static constexpr std::chrono::seconds longest_interval{1};

  /// `percent` of the time is the limit, 0 is none; `interval` is the asked one, 0 is as fast as it goes.
  OverheadGovernor(double percent, Duration interval, Time start);

  /// The target was held.
  void add(Duration held) noexcept { held_ += held; }
  /// A tick was taken from `start` to `now`: the interval to go on with, at least the asked one.
  [[nodiscard]] Duration after_tick(Time start, Time now);

 private:
  struct Window {
    Time start;
    double count = 0;  // of ticks
    Duration held{0};
    Duration dearest{0};  // tick of them
    Duration worked{0};   // for ticks, waiting not included
  };

  /// What ticks cost, in ns; without the dearest of them: where we lost our CPU while we held a thread, that
  /// is the machine's load and not what ticks cost.
  [[nodiscard]] static double cost(const Window& ticks);
  /// The interval that ticks like those of this window need.
  [[nodiscard]] Duration interval_for(const Window& ticks) const;
  void remember(Duration interval, Time now);

  double limit_;  // as a share
  Duration asked_;
  Duration interval_;
  Window window_;
  Duration held_{0};  // since the last tick
  Duration last_;     // that a whole window needed
  Time memory_start_;
  Duration widest_;         // of the windows since memory_start_
  Duration widest_before_;  // of those that a memory before that knew
};

}  // namespace sampler
