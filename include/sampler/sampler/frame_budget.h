#pragma once

#include <algorithm>
#include <cstddef>

namespace sampler {

/// How many frames may still be copied at once, about; the stacks beyond them are marked. A hostile target
/// may have 16,384 threads of 20,000 frames, of some 60 bytes each.
class FrameBudget {
 public:
  /// Frames.
  static constexpr std::size_t most = 1'000'000;

  /// What was copied before may go.
  void renew() noexcept { left_ = most; }
  /// So many were copied.
  void spend(std::size_t frames) noexcept { left_ -= std::min(left_, frames); }
  /// No more are to be copied.
  [[nodiscard]] bool is_spent() const noexcept { return left_ == 0; }

 private:
  std::size_t left_ = most;
};

}  // namespace sampler
