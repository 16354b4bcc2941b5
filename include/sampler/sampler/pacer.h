#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <random>

namespace sampler {

/// When to sample: one uniformly random moment in each interval of an absolute schedule, so that periodic
/// work is not aliased and the number of ticks is exact. Holds no clock: times are given.
class Pacer {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Duration = std::chrono::nanoseconds;

  /// Ticks from `start` on. An interval of 0 is as fast as it goes; a duration of 0 is exactly one tick, at
  /// once. Without a duration it goes on for ever. A duration holds as many ticks as whole intervals fit, at
  /// least one.
  Pacer(Time start, Duration interval, std::optional<Duration> duration, std::uint64_t seed);

  /// The next moment to sample at; nothing when the run is over.
  [[nodiscard]] std::optional<Time> next() const { return next_; }
  /// The run's end; nothing where it has none.
  [[nodiscard]] std::optional<Time> deadline() const { return deadline_; }

  /// What was due at `now`: `is_due` asks for a sample; moments missed by more than an interval are skipped
  /// and counted, never made up for.
  struct Due {
    bool is_due = false;
    std::uint64_t late = 0;
    std::uint64_t left_out = 0;  ///< moments that the asked interval would have had besides
  };
  [[nodiscard]] Due advance(Time now);

  /// Goes on with a wider interval, from the tick after the next one on: the asked interval times the
  /// smallest number that makes it as wide. As fast as it goes, it is the mean time between two ticks.
  void set_interval(Duration interval);
  /// What the interval is from then on.
  [[nodiscard]] Duration interval() const;

 private:
  [[nodiscard]] bool is_free_running() const { return interval_ == Duration::zero(); }
  void schedule();
  Due advance_freely(Time now);
  void skip_missed(Time now, Due& due);

  Time start_;
  Duration interval_;
  std::optional<Time> deadline_;
  std::optional<std::uint64_t> most_ticks_;
  std::uint64_t tick_ = 0;   // of the asked interval: where the interval at work begins
  std::uint64_t width_ = 1;  // of the interval at work, in asked ones
  std::uint64_t next_width_ = 1;
  Duration wait_{0};  // of a free run
  std::mt19937_64 random_;
  std::optional<Time> next_;
};

}  // namespace sampler
