#pragma once

#include <compare>
#include <cstdint>

namespace sampler {

/// An address in the target's memory; never one of ours.
struct RemoteAddress {
  std::uint64_t value = 0;

  [[nodiscard]] constexpr bool is_null() const noexcept { return value == 0; }
  /// This address with the bits of `mask` cleared (tagged pointers).
  [[nodiscard]] constexpr RemoteAddress without_tag(std::uint64_t mask) const noexcept {
    return {value & ~mask};
  }
  // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy 14 takes the comparison with 0 for a pointer's
  friend constexpr auto operator<=>(RemoteAddress, RemoteAddress) noexcept = default;
  friend constexpr RemoteAddress operator+(RemoteAddress base, std::uint64_t offset) noexcept {
    return {base.value + offset};
  }
};

}  // namespace sampler
