#include "sampler/sampler/hold_clock.h"

#include <algorithm>
#include <cmath>

namespace sampler {

void HoldClock::add(Time start, Time end) noexcept {
  count(end - start);
  wall_ += end - std::max(start, last_end_);
  last_end_ = end;
}

void HoldClock::count(std::chrono::nanoseconds held) noexcept {
  const double nanoseconds = std::max<double>(1, static_cast<double>(held.count()));
  const auto bucket = static_cast<std::size_t>(std::log2(nanoseconds) * static_cast<double>(steps));
  ++buckets_[std::min(bucket, buckets_.size() - 1)];
  ++count_;
  total_ += held;
}

std::chrono::nanoseconds HoldClock::quantile(double share) const noexcept {
  const auto wanted = static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(count_)));
  std::uint64_t seen = 0;
  for (std::size_t bucket = 0; bucket < buckets_.size(); ++bucket) {
    seen += buckets_[bucket];
    if (seen < std::max<std::uint64_t>(1, wanted)) continue;
    const double middle = (static_cast<double>(bucket) + 0.5) / static_cast<double>(steps);
    return std::chrono::nanoseconds{std::llround(std::exp2(middle))};
  }
  return std::chrono::nanoseconds{0};
}

HoldTimes HoldClock::times() const noexcept {
  if (count_ == 0) return {};
  return HoldTimes{count_, quantile(0.5), quantile(0.99), total_, wall_};
}

}  // namespace sampler
