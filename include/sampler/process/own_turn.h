#pragma once

#include <optional>

namespace sampler {

/// A turn of the calling thread on a CPU. For as long as it lasts nobody else runs there.
class OwnTurn {
 public:
  OwnTurn() noexcept;

  /// The CPU; -1 where that is not known.
  [[nodiscard]] int cpu() const noexcept { return cpu_; }
  /// Whether the thread has had its CPU all the time since. The kernel counts each time that a thread loses
  /// its CPU, whatever the thread was about to do then.
  [[nodiscard]] bool lasts() const noexcept;

 private:
  std::optional<long> departures_;  // before cpu_: it is of this turn, if the turn lasts
  int cpu_;
};

}  // namespace sampler
