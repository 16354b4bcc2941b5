#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "sampler/process/realtime_budget.h"
#include "sampler/process/signal_inbox.h"
#include "sampler/process/tracer.h"
#include "sampler/sampler/recording.h"
#include "sampler/sampler/target.h"

namespace sampler {

/// The one loop that drives all targets on one thread: whatever is due next is done next, and nothing in it
/// blocks.
class Sampler {
 public:
  using Clock = std::chrono::steady_clock;

  /// A command that we started: signals are handed on to it instead of ending the run.
  struct Child {
    Pid pid{};
    std::optional<int> exit_status;  ///< of waitpid(2), once it has ended
  };
  /// Called from the loop.
  struct Callbacks {
    std::function<void(const RunSummary&)> checkpoint;  ///< every few seconds: write what there is
    std::function<void(const RunSummary&)> progress;    ///< a few times a second; may be empty
  };

  Sampler(SignalInbox& inbox, Tracer& tracer, Recording& recording)
      : inbox_{inbox}, tracer_{tracer}, recording_{recording} {}

  void add(std::unique_ptr<Target> target) { targets_.push_back(std::move(target)); }
  void follow(Pid child) { child_ = Child{child, std::nullopt}; }

  /// With high priority the loop is prompt, and realtime where that is of use: while a thread may stop that
  /// only we can let go, and, with Hold::preempt, all the time: without it, a tick that waits for a thread of
  /// ours on a busy CPU (Preemptor) goes on only after the other's time slice, 3 ms.
  void set_priority(Priority priority, Hold hold) noexcept {
    priority_ = priority;
    is_realtime_throughout_ = hold == Hold::preempt;
  }
  /// Ends the run when nobody reads this pipe any more; -1: no pipe.
  void watch_output(int fd) { output_ = fd; }
  [[nodiscard]] bool is_output_closed() const noexcept { return is_output_closed_; }
  /// What must go on while somebody else waits, for a pipe's reader say: signals, stops that come late. False
  /// once a signal has asked for the end.
  bool serve();

  /// Runs until all targets are done or a signal ends it. What callbacks throw ends it too.
  void run(const Callbacks& callbacks);
  /// Hands signals on to the command and waits for its end: its status of waitpid(2).
  int wait_for_child();

  /// The command's status of waitpid(2), once it has ended.
  [[nodiscard]] std::optional<int> child_status() const {
    return child_ ? child_->exit_status : std::nullopt;
  }

  [[nodiscard]] RunSummary summary() const;
  [[nodiscard]] const std::vector<std::unique_ptr<Target>>& targets() const noexcept { return targets_; }

 private:
  void drain();
  void pause_if_asked();
  void wait_until(std::optional<Clock::time_point> moment);
  void take_signals();
  void take_child_changes();
  [[nodiscard]] bool is_over() const;
  [[nodiscard]] std::optional<Clock::time_point> next_work() const;
  void call_back(const Callbacks& callbacks, Clock::time_point now);

  SignalInbox& inbox_;
  Tracer& tracer_;
  Recording& recording_;
  std::vector<std::unique_ptr<Target>> targets_;
  std::optional<Child> child_;
  int output_ = -1;
  bool is_output_closed_ = false;
  bool stop_asked_ = false;
  bool pause_asked_ = false;
  Priority priority_ = Priority::high;
  bool is_realtime_throughout_ = false;
  std::optional<RealtimeBudget> realtime_;
  Clock::time_point start_ = Clock::now();
  Clock::time_point end_ = start_;
  std::chrono::nanoseconds cpu_{0};  ///< that we used from start to end
  Clock::time_point next_checkpoint_;
  Clock::time_point next_progress_;
  Clock::time_point last_poll_;
  Clock::time_point waited_at_, woke_at_;  ///< the beginning and the end of the last wait
};

}  // namespace sampler
