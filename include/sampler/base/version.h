#pragma once

#include <string_view>

namespace sampler {

/// The program's own version, "0.1.0".
[[nodiscard]] std::string_view program_version() noexcept;

}  // namespace sampler
