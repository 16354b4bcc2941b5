#pragma once

#include <cstddef>
#include <string_view>

namespace sampler {

/// Bytes of the valid UTF-8 sequence at the start of a text; 0 where there is none.
[[nodiscard]] std::size_t valid_sequence(std::string_view text) noexcept;

}  // namespace sampler
