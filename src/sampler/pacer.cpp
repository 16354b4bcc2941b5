#include "sampler/sampler/pacer.h"

#include <algorithm>

namespace sampler {

Pacer::Pacer(Time start, Duration interval, std::optional<Duration> duration, std::uint64_t seed)
    : start_{start}, interval_{interval}, random_{seed} {
  const bool is_single = duration == Duration::zero();
  if (duration && !is_single) deadline_ = start + *duration;
  if (is_single) most_ticks_ = 1;
  if (duration && !is_single && interval > Duration::zero()) {
    most_ticks_ = static_cast<std::uint64_t>(std::max<std::int64_t>(1, *duration / interval));
  }
  if (is_single) interval_ = Duration::zero();
  schedule();
}

void Pacer::schedule() {
  if (most_ticks_ && tick_ >= *most_ticks_) {
    next_.reset();
    return;
  }
  if (interval_ == Duration::zero()) {
    next_ = start_;
    return;
  }
  std::uniform_int_distribution<Duration::rep> moment{0, interval_.count() - 1};
  next_ = start_ + interval_ * static_cast<Duration::rep>(tick_) + Duration{moment(random_)};
}

std::uint64_t Pacer::skip_missed(Time now) {
  if (!next_ || interval_ == Duration::zero() || now < start_) return 0;
  // Moments of intervals that ended at least a whole interval ago; the loop of advance() decides about the
  // rest.
  auto last = static_cast<std::uint64_t>((now - start_) / interval_);
  if (last < 2) return 0;
  last = std::min(last - 1, most_ticks_.value_or(last));
  if (last <= tick_) return 0;
  const auto missed = last - tick_;
  tick_ = last;
  schedule();
  return missed;
}

Pacer::Due Pacer::advance(Time now) {
  Due due;
  if (interval_ == Duration::zero() && deadline_ && now >= *deadline_) next_.reset();
  due.late = skip_missed(now);
  while (next_ && *next_ <= now && !due.is_due) {
    if (interval_ > Duration::zero() && now - *next_ > interval_) {
      ++due.late;
    } else {
      due.is_due = true;
    }
    ++tick_;
    schedule();
  }
  return due;
}

}  // namespace sampler
