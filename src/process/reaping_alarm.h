#pragma once

#include <vector>

#include "sampler/process/tracer.h"

namespace sampler {

/// PTRACE_SEIZE waits for an exec in the target's process; the exec waits for the process's other threads to
/// end; and one of these that we trace has ended only when we have waited for it. So while this lives, a
/// signal comes every 5 ms and takes what waitid reports of our threads, also while we are in PTRACE_SEIZE. A
/// tracer is told of stops too, whatever it asks for. One at a time.
class ReapingAlarm {
 public:
  ReapingAlarm();
  ReapingAlarm(const ReapingAlarm&) = delete;
  ReapingAlarm& operator=(const ReapingAlarm&) = delete;
  ~ReapingAlarm();

  /// Stops the signals; what they were told.
  [[nodiscard]] std::vector<ThreadReport> stop();

 private:
  bool is_running_ = true;
};

}  // namespace sampler
