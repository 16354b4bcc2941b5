#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "sampler/cpython/layout.h"

namespace sampler {

/// The line of an instruction, as CPython itself would report it for a frame there.
/// `instruction` is in bytes for the lnotab codings and in 2-byte code units for PEP 626 and PEP 657;
/// negative means not started (the first line then). Nothing where the table says "no line". Never reads
/// outside `table`, whatever it holds.
[[nodiscard]] std::optional<std::uint32_t> line_at(LineTable coding, std::span<const std::byte> table,
                                                   std::int32_t first_line,
                                                   std::int64_t instruction) noexcept;

}  // namespace sampler
