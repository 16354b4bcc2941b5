#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <streambuf>

namespace sampler {

/// Writes a stream's bytes to a descriptor that it does not own, and remembers the first error.
class FdBuffer final : public std::streambuf {
 public:
  /// `may_write(fd)` comes before each piece of at most `piece` bytes; it returns 0, or the errno to give up
  /// with.
  using MayWrite = std::function<int(int)>;

  FdBuffer(int fd, std::size_t piece, MayWrite may_write);

  /// The errno of the first failure; 0 for none.
  [[nodiscard]] int error() const noexcept { return error_; }

 protected:
  int_type overflow(int_type c) override;
  int sync() override;

 private:
  /// Whether all that was buffered is written.
  bool drain();

  std::array<char, std::size_t{64} * 1024> bytes_{};
  int fd_;
  std::size_t piece_;
  MayWrite may_write_;
  int error_ = 0;
};

}  // namespace sampler
