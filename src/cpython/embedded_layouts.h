#pragma once

#include <span>
#include <string_view>

namespace sampler {

/// One file of cpython_offsets/ as it was at build time.
struct EmbeddedLayout {
  std::string_view name;  ///< "3.12.layout"
  std::string_view text;
};

/// Every layout file that the build found.
[[nodiscard]] std::span<const EmbeddedLayout> embedded_layouts() noexcept;

}  // namespace sampler
