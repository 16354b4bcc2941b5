#include "sampler/sampler/sampler.h"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <ctime>
#include <utility>

#include "sampler/process/scheduling.h"
#include "sampler/sampler/late_stops.h"

namespace sampler {
namespace {

using namespace std::chrono_literals;

constexpr auto checkpoint_interval = 3s;
constexpr auto progress_interval = 250ms;
/// Where ticks come without a wait (`--hz max`) signals are looked at this often all the same; a thread that
/// has stopped, which only we can let go, each time.
constexpr auto longest_without_poll = 1ms;

/// Up to four files of /proc stay open per thread that is watched; the usual soft limit is 1,024. Where that
/// is all, those of some threads are opened again and again.
void raise_file_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

timespec to_timespec(std::chrono::nanoseconds duration) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(duration);
  return {static_cast<time_t>(seconds.count()), static_cast<long>((duration - seconds).count())};
}

std::chrono::nanoseconds cpu_time() {
  timespec used{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return std::chrono::seconds{used.tv_sec} + std::chrono::nanoseconds{used.tv_nsec};
}

}  // namespace

void Sampler::run(const Callbacks& callbacks) {
  ::prctl(PR_SET_TIMERSLACK, 1UL);  // the default 50 us would be added to every wait
  // At 1 kHz beside 4 busy threads on 2 CPUs 0.1 to 0.5 % of the ticks are late, where it would be 23 %; and
  // it keeps us on the CPU while we hold a thread.
  if (priority_ == Priority::high) {
    ask_to_be_prompt();
    realtime_.emplace(is_realtime_throughout_);
  }
  raise_file_limit();
  start_ = Clock::now();
  const auto cpu_before = cpu_time();
  next_checkpoint_ = start_ + checkpoint_interval;
  next_progress_ = start_ + progress_interval;
  waited_at_ = woke_at_ = start_;
  for (;;) {
    const auto now = Clock::now();
    for (const auto& target : targets_) target->work(now);
    if (is_over()) break;
    wait_until(next_work());
    // A callback may block for long, on a slow disk say: not while a thread may stop that only we can let go.
    if (!tracer_.has_pending()) call_back(callbacks, Clock::now());
  }
  end_ = Clock::now();
  cpu_ = cpu_time() - cpu_before;
  realtime_.reset();
  drain();
}

void Sampler::drain() {
  const auto deadline = Clock::now() + LateStops::longest_wait;
  const auto is_waiting = [](const auto& target) { return target->is_waiting(); };
  while (tracer_.has_pending() || std::any_of(targets_.begin(), targets_.end(), is_waiting)) {
    const auto now = Clock::now();
    if (now > deadline) break;
    wait_until(now + 1ms);
    for (const auto& target : targets_) target->settle_late(now);
  }
  for (const auto& target : targets_) target->settle_late(deadline + LateStops::longest_wait);
}

bool Sampler::serve() {
  take_signals();
  take_child_changes();
  pause_if_asked();
  return !stop_asked_;
}

bool Sampler::is_over() const {
  return stop_asked_ ||
         std::all_of(targets_.begin(), targets_.end(), [](const auto& target) { return target->is_done(); });
}

std::optional<Sampler::Clock::time_point> Sampler::next_work() const {
  std::optional<Clock::time_point> next;
  for (const auto& target : targets_) {
    const auto at = target->next_work();
    if (at && (!next || *at < *next)) next = at;
  }
  return next;
}

void Sampler::wait_until(std::optional<Clock::time_point> moment) {
  const auto now = Clock::now();
  const auto worked = now - std::exchange(woke_at_, now);
  const auto passed = now - std::exchange(waited_at_, now);
  if (realtime_) {
    realtime_->spend(worked, passed);
    // A thread that stops late would be held until we get a CPU.
    realtime_->want(is_realtime_throughout_ || tracer_.has_pending());
  }
  const auto wait = moment ? std::max<std::chrono::nanoseconds>(*moment - now, 0ns) : progress_interval;
  if (wait == 0ns && !tracer_.has_pending() && now - last_poll_ < longest_without_poll) return;
  last_poll_ = now;

  // A negative descriptor is passed over: no output to watch, a target that is done, a kernel without pidfd.
  const bool has_children = child_ || tracer_.has_pending();
  std::vector<pollfd> files{{inbox_.fd(), POLLIN, 0},
                            {has_children ? inbox_.child_fd() : -1, POLLIN, 0},
                            {child_ ? -1 : output_, 0, 0}};
  const auto first_target = files.size();
  for (const auto& target : targets_) {
    files.push_back({target->is_done() ? -1 : target->process().pidfd(), POLLIN, 0});
  }
  const auto timeout = to_timespec(std::min<std::chrono::nanoseconds>(wait, progress_interval));
  if (::ppoll(files.data(), files.size(), &timeout, nullptr) > 0) {
    take_signals();
    take_child_changes();
    is_output_closed_ = (files[2].revents & POLLERR) != 0;
    stop_asked_ = stop_asked_ || is_output_closed_;
    for (std::size_t i = 0; i < targets_.size(); ++i) {
      if (files[first_target + i].revents != 0) targets_[i]->process_ended();
    }
  }
  pause_if_asked();
  woke_at_ = Clock::now();
}

void Sampler::take_signals() {
  for (const auto& signal : inbox_.take()) {
    if (signal.number == SIGTSTP) {
      pause_asked_ = true;
    } else if (!child_ || child_->exit_status) {
      stop_asked_ = true;
    } else if (!signal.from_terminal) {
      ::kill(number(child_->pid), signal.number);
    }
  }
}

void Sampler::pause_if_asked() {
  // Stopped ourselves, we could let nobody go: not while a stop is still to come.
  if (!pause_asked_ || tracer_.has_pending()) return;
  pause_asked_ = false;
  ::raise(SIGSTOP);
}

void Sampler::take_child_changes() {
  inbox_.clear_child_changes();
  for (auto& event : tracer_.collect()) {
    if (event.held) {
      for (const auto& target : targets_) {
        if (target->stop_came(event.tid, *event.held)) break;
      }
      continue;
    }
    const bool is_child = child_ && event.tid == Tid{number(child_->pid)};
    if (is_child) child_->exit_status = event.exit_status;
    for (const auto& target : targets_) {
      target->thread_ended(event.tid);
      if (is_child && target->process().pid() == child_->pid) target->process_ended();
    }
  }
}

int Sampler::wait_for_child() {
  while (!child_->exit_status) {
    std::array<pollfd, 2> files{{{inbox_.fd(), POLLIN, 0}, {inbox_.child_fd(), POLLIN, 0}}};
    take_child_changes();
    if (child_->exit_status) break;
    ::ppoll(files.data(), files.size(), nullptr, nullptr);
    take_signals();
    pause_if_asked();
  }
  return *child_->exit_status;
}

void Sampler::call_back(const Callbacks& callbacks, Clock::time_point now) {
  if (callbacks.checkpoint && now >= next_checkpoint_) {
    if (realtime_) realtime_->give_up();
    callbacks.checkpoint(recording_.summary(now - start_));
    // A file that takes long to write is written less often: at most 5 % of the time.
    const auto took = Clock::now() - now;
    next_checkpoint_ = Clock::now() + std::max<std::chrono::nanoseconds>(checkpoint_interval, 20 * took);
  }
  if (callbacks.progress && now >= next_progress_) {
    callbacks.progress(recording_.summary(now - start_));
    next_progress_ = now + progress_interval;
  }
}

RunSummary Sampler::summary() const {
  auto summary = recording_.summary(end_ - start_);
  summary.cpu = cpu_;
  return summary;
}

}  // namespace sampler
