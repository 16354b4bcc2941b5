#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

#include "sampler/base/remote_address.h"
#include "sampler/base/result.h"

namespace sampler {

/// A read that did not give all its bytes.
struct ReadError {
  RemoteAddress address;
  std::uint32_t length = 0;
  int code = 0;  ///< errno
};

/// The target's memory: the one seam between everything that understands Python and the kernel, and so the
/// seam for tests.
class RemoteMemory {
 public:
  RemoteMemory() = default;
  RemoteMemory(const RemoteMemory&) = delete;
  RemoteMemory& operator=(const RemoteMemory&) = delete;
  virtual ~RemoteMemory() = default;

  /// All of `into`, or an error; `into` is then unspecified.
  virtual Result<void, ReadError> read(RemoteAddress from, std::span<std::byte> into) noexcept = 0;
  /// The bytes where they are at hand already, until the next change of this; nullptr where read() must copy
  /// them.
  [[nodiscard]] virtual const std::byte* view(RemoteAddress /*from*/, std::size_t /*size*/) noexcept {
    return nullptr;
  }
  /// As view(), of bytes that may be worth nothing: that they were asked for means no need of them.
  [[nodiscard]] virtual const std::byte* peek(RemoteAddress /*from*/, std::size_t /*size*/) noexcept {
    return nullptr;
  }
  /// How many of the bytes, from the first on, are known to be what they were in the sample before.
  [[nodiscard]] virtual std::size_t count_unchanged(RemoteAddress /*from*/, std::size_t /*size*/) noexcept {
    return 0;
  }
};

/// One value of a plain type; RemoteAddress included.
template <class T>
[[nodiscard]] Result<T, ReadError> read_as(RemoteMemory& memory, RemoteAddress from) noexcept {
  static_assert(std::is_trivially_copyable_v<T>);
  T value{};
  if (const auto* const at_hand = memory.view(from, sizeof(T))) {
    std::memcpy(&value, at_hand, sizeof(T));
    return value;
  }
  std::array<std::byte, sizeof(T)> bytes;
  if (const auto done = memory.read(from, bytes); !done) return Failure{done.error()};
  std::memcpy(&value, bytes.data(), sizeof(T));
  return value;
}

}  // namespace sampler
