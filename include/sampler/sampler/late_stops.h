#pragma once

#include <chrono>
#include <optional>
#include <vector>

#include "sampler/base/ids.h"
#include "sampler/cpython/thread_lister.h"
#include "sampler/model/sample.h"
#include "sampler/sampler/ledger.h"

namespace sampler {

/// The stops that did not come at once, and the ticks that wait for them.
class LateStops {
 public:
  using Time = std::chrono::steady_clock::time_point;
  /// A stop that has not come after this is no longer waited for by the ticks that asked for it.
  static constexpr std::chrono::milliseconds longest_wait{100};

  /// A tick that waits.
  struct Waiting {
    Ledger::TickId tick;
    Time since;
  };
  /// A stop that is still to come, of the thread that runs a thread state.
  struct Stop {
    PythonThread thread;
    ThreadActivity activity;
    std::vector<Waiting> ticks;  ///< the oldest first
  };

  /// A tick waits for the stop of a thread, maybe with others.
  void add(const PythonThread& thread, const ThreadActivity& activity, Waiting waiting);
  /// Whether a tick waits for this thread's.
  [[nodiscard]] bool are_waited_for(Tid tid) const noexcept;
  /// Whether a tick still waits for any.
  [[nodiscard]] bool is_open(Ledger::TickId tick) const;
  /// Those of one thread, and all: nobody waits for them any more.
  [[nodiscard]] std::vector<Stop> take(Tid tid);
  [[nodiscard]] std::vector<Stop> take_all();
  /// One with the ticks that have waited too long for it: they do not any more. Nothing where none has.
  [[nodiscard]] std::optional<Stop> take_overdue(Time now);
  /// When take_overdue() has something to take; nothing while no tick waits.
  [[nodiscard]] std::optional<Time> next_overdue() const;

 private:
  std::vector<Stop> stops_;
};

}  // namespace sampler
