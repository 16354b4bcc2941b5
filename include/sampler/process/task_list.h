#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <unordered_set>

#include "sampler/base/ids.h"
#include "sampler/base/unique_fd.h"

namespace sampler {

/// Which threads a process has; a zombie is none. A look is one fstat (0.4 us) while as many live as before.
class TaskList {
 public:
  using Clock = std::chrono::steady_clock;
  /// A list is used for no longer: one thread may have ended and another begun.
  static constexpr std::chrono::seconds longest{1};

  explicit TaskList(Pid pid);

  /// Lists the threads where they may be others than they were.
  void look(Clock::time_point now = Clock::now());
  /// Whether the thread lives; one that is not on the list is asked for. Never Tid{0}. True where nobody can
  /// tell.
  [[nodiscard]] bool has(Tid tid);
  /// How many live.
  [[nodiscard]] std::size_t size() const noexcept { return living_.size(); }

 private:
  void list();

  Pid pid_;
  UniqueFd directory_;
  std::unordered_set<pid_t> living_;
  std::size_t links_ = 0;  ///< of the directory when it was listed: 2 and one for each thread
  Clock::time_point listed_at_{};
};

}  // namespace sampler
