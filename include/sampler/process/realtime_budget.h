#pragma once

#include <chrono>

namespace sampler {

/// Realtime priority of the calling thread, where it may have it (CAP_SYS_NICE), for as long as it mostly
/// sleeps: it is woken at once, and works without a break. While it works for more than a quarter of the time
/// it is an ordinary thread, which leaves a fair share to the others of its CPU; so it is while nobody wants
/// the priority. All calls from one thread.
class RealtimeBudget {
 public:
  using Duration = std::chrono::nanoseconds;
  /// Of the time that passes, one part of so many may be worked.
  static constexpr int share = 4;
  /// What may be worked at once, after enough of a rest. Half of it must be there to begin again.
  static constexpr Duration most = std::chrono::milliseconds{5};

  explicit RealtimeBudget(bool is_wanted = true);
  RealtimeBudget(const RealtimeBudget&) = delete;
  RealtimeBudget& operator=(const RealtimeBudget&) = delete;
  ~RealtimeBudget();

  /// Whether the priority is of use now. Where it is given up the rest of the budget stays.
  void want(bool is_wanted) noexcept;
  /// So long we have worked, of the time that has passed since this was last told.
  void spend(Duration worked, Duration passed) noexcept;
  /// Work without a limit follows: it is done as an ordinary thread. Until spend() is told of it.
  void give_up() noexcept;

 private:
  void begin() noexcept;

  int policy_;  ///< of before
  bool is_wanted_;
  bool is_realtime_ = false;
  Duration left_ = most;
};

}  // namespace sampler
