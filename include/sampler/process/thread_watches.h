#pragma once

#include <sys/types.h>

#include <cstddef>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "sampler/base/ids.h"
#include "sampler/process/thread_watch.h"

namespace sampler {

/// What the kernel says of the threads of one process. A thread's files are opened when it is asked for, and
/// kept.
class ThreadWatches {
 public:
  explicit ThreadWatches(Pid pid) : pid_{pid} {}

  /// Until the thread is forgotten.
  [[nodiscard]] ThreadWatch& of(Tid tid);
  /// Where a thread is and what it does; nothing once it has ended.
  [[nodiscard]] std::optional<ThreadPlace> place_of(Tid tid);
  /// What it does.
  [[nodiscard]] std::optional<char> state_of(Tid tid);
  /// Whether a thread that was blocked with these turns behind it is so still, and did not run in between.
  [[nodiscard]] bool has_stood_still(Tid tid, const std::optional<Turns>& before);
  /// Whether the process is ending: its first thread has. False where nobody can tell.
  [[nodiscard]] bool is_process_ending();

  /// Of how many threads there are files.
  [[nodiscard]] std::size_t size() const noexcept { return watches_.size(); }
  /// Closes a thread's files.
  void forget(Tid tid) { watches_.erase(number(tid)); }
  /// Forgets all but these.
  void keep_only(const std::unordered_set<pid_t>& tids);

 private:
  Pid pid_;
  std::unordered_map<pid_t, ThreadWatch> watches_;
};

}  // namespace sampler
