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
  next_ = start_;
  if (!is_free_running()) schedule();
}

void Pacer::schedule() {
  const auto left = most_ticks_ ? *most_ticks_ - tick_ : next_width_;
  width_ = std::min(next_width_, left);
  if (left == 0) {
    next_.reset();
    return;
  }
  std::uniform_int_distribution<Duration::rep> moment{
      0, interval_.count() * static_cast<Duration::rep>(width_) - 1};
  next_ = start_ + interval_ * static_cast<Duration::rep>(tick_) + Duration{moment(random_)};
}

Pacer::Duration Pacer::interval() const {
  return is_free_running() ? wait_ : interval_ * static_cast<Duration::rep>(next_width_);
}

void Pacer::set_interval(Duration interval) {
  wait_ = interval;
  if (is_free_running()) return;
  next_width_ =
      static_cast<std::uint64_t>(std::max<Duration::rep>(1, (interval - Duration{1}) / interval_ + 1));
}

void Pacer::skip_missed(Time now, Due& due) {
  if (!next_ || now < start_) return;
  // Intervals that ended at least a whole interval ago; the loop of advance() decides about the rest.
  const auto ended = static_cast<std::uint64_t>((now - start_) / interval_);
  const auto wide = std::max(width_, next_width_);
  if (ended < wide) return;
  const auto last = std::min(ended - wide, most_ticks_.value_or(ended));
  if (last < tick_ + width_) return;
  const auto intervals = 1 + (last - tick_ - width_) / next_width_;
  const auto moments = width_ + (intervals - 1) * next_width_;
  due.late += intervals;
  due.left_out += moments - intervals;
  tick_ += moments;
  schedule();
}

Pacer::Due Pacer::advance_freely(Time now) {
  Due due;
  if (deadline_ && now >= *deadline_) next_.reset();
  due.is_due = next_ && *next_ <= now;
  if (!due.is_due) return due;
  ++tick_;
  if (most_ticks_) {
    next_.reset();
  } else if (wait_ > Duration::zero()) {
    std::uniform_int_distribution<Duration::rep> wait{0, 2 * wait_.count()};
    next_ = now + Duration{wait(random_)};
    if (deadline_) next_ = std::min(*next_, *deadline_);
  }
  return due;
}

Pacer::Due Pacer::advance(Time now) {
  if (is_free_running()) return advance_freely(now);
  Due due;
  skip_missed(now, due);
  while (next_ && *next_ <= now && !due.is_due) {
    if (now - *next_ > interval_ * static_cast<Duration::rep>(width_)) {
      ++due.late;
    } else {
      due.is_due = true;
    }
    due.left_out += width_ - 1;
    tick_ += width_;
    schedule();
  }
  return due;
}

}  // namespace sampler
