#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <vector>

#include "sampler/memory/process_memory.h"

namespace sampler {

/// Words of the target's memory, by address.
using Values = std::map<RemoteAddress, std::uint64_t>;

/// Fills the ranges as if they had been read from memory that has these words and is 0xAA elsewhere. How many
/// of the words were asked for.
inline std::size_t fill(const std::vector<RemoteRange>& ranges, const Values& values) {
  std::size_t asked = 0;
  for (const auto& range : ranges) {
    std::fill(range.into.begin(), range.into.end(), std::byte{0xAA});
    for (const auto& [address, value] : values) {
      if (address < range.from || address.value >= range.from.value + range.into.size()) continue;
      const auto offset = address.value - range.from.value;
      std::memcpy(range.into.data() + offset, &value, std::min(sizeof value, range.into.size() - offset));
      ++asked;
    }
  }
  return asked;
}

}  // namespace sampler
