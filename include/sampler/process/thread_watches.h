#pragma once

#include <sys/types.h>

#include <cstddef>
#include <list>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "sampler/base/ids.h"
#include "sampler/process/own_turn.h"
#include "sampler/process/thread_watch.h"

namespace sampler {

/// What the kernel says of the threads of one process. A thread's files are opened when it is asked for, and
/// kept; where we may have no more open, those of the threads that were asked for last are.
class ThreadWatches {
 public:
  explicit ThreadWatches(Pid pid) : pid_{pid} {}

  /// Until the thread is forgotten, or another is asked for.
  [[nodiscard]] ThreadWatch& of(Tid tid);
  /// Where a thread is and what it does; nothing once it has ended.
  [[nodiscard]] std::optional<ThreadPlace> place_of(Tid tid);
  /// What it does.
  [[nodiscard]] std::optional<char> state_of(Tid tid);
  /// Whether a thread that was blocked with these turns behind it is so still, and did not run in between.
  [[nodiscard]] bool has_stood_still(Tid tid, const std::optional<Turns>& before);
  /// Whether a thread that wanted to run, on the CPU of our own turn and with these turns of its own behind
  /// it, has not run since, because we had that CPU. The proof is that of Preemptor::visit(), and we are the
  /// visitor: `before` was read before the moment at which the kernel said that the thread belongs to our
  /// CPU.
  [[nodiscard]] bool has_waited(Tid tid, const std::optional<Turns>& before, const OwnTurn& ours);
  /// Whether the process is ending: its first thread has ended, and no other goes on. False where nobody can
  /// tell.
  [[nodiscard]] bool is_process_ending();

  /// Of how many threads there are files.
  [[nodiscard]] std::size_t size() const noexcept { return watches_.size(); }
  /// Closes a thread's files.
  void forget(Tid tid);
  /// Forgets all but these.
  void keep_only(const std::unordered_set<pid_t>& tids);

 private:
  struct Kept {
    ThreadWatch watch;
    std::list<pid_t>::iterator use;
  };

  /// Forgets half of the threads, at least one and not the one asked for last. False where there is none.
  bool forget_oldest();

  Pid pid_;
  std::unordered_map<pid_t, Kept> watches_;
  std::list<pid_t> uses_;  // the thread asked for last is the first
};

}  // namespace sampler
