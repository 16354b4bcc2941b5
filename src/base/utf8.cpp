#include "sampler/base/utf8.h"

#include <cstdint>

namespace sampler {
namespace {

/// Bytes of the UTF-8 sequence that `first` starts; 0 where none can start so.
std::size_t sequence_length(std::uint8_t first) noexcept {
  if (first < 0x80) return 1;
  if (first < 0xC2) return 0;
  if (first < 0xE0) return 2;
  if (first < 0xF0) return 3;
  return first < 0xF5 ? 4 : 0;
}

/// The values a sequence's second byte may have: without overlong forms, surrogates and what is above
/// U+10FFFF.
bool may_follow(std::uint8_t first, std::uint8_t second) noexcept {
  const std::uint8_t least = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
  const std::uint8_t most = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
  return second >= least && second <= most;
}

}  // namespace

std::size_t valid_sequence(std::string_view text) noexcept {
  if (text.empty()) return 0;
  const auto byte = [&](std::size_t at) { return static_cast<std::uint8_t>(text[at]); };
  const std::size_t length = sequence_length(byte(0));
  if (length > text.size()) return 0;
  if (length >= 2 && !may_follow(byte(0), byte(1))) return 0;
  for (std::size_t at = 2; at < length; ++at) {
    if ((byte(at) & 0xC0U) != 0x80) return 0;
  }
  return length;
}

}  // namespace sampler
