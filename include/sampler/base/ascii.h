#pragma once

namespace sampler {

/// Whether a byte is one of ASCII's digits, whatever the locale.
[[nodiscard]] constexpr bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}

}  // namespace sampler
