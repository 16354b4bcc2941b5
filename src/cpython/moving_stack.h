#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "frame_chain.h"

namespace sampler {

// A thread that runs while its frames are copied shows them at different moments. What each frame says of
// itself tells which of them belong together: docs/adr/0005-a-stack-that-moves.md.

/// What a frame says of the call that the frame on top of it is of.
enum class Tie : std::uint8_t {
  calls,          ///< it is in that call, or nothing tells
  runs_itself,    ///< it was in no call when it was copied: the other has returned by then
  calls_another,  ///< the two are of different moments
};

[[nodiscard]] Tie tie_of(RemoteMemory& memory, const Layout& layout, const ChainLink& caller,
                         const ChainLink& callee);

/// Whether the frame says of itself that its call is over.
[[nodiscard]] bool has_returned(const Layout& layout, const FrameFields& frame) noexcept;

/// The frame that `caller` has called since the thread was said to be there, on the data stack; nothing where
/// there is none. Looks only at what is copied already.
[[nodiscard]] std::optional<ChainLink> callee_on_data_stack(RemoteMemory& memory,
                                                            const PythonRuntime& runtime, CodeCache& codes,
                                                            const ChainLink& caller);
/// The same among frame objects that were seen before.
[[nodiscard]] std::optional<ChainLink> callee_among(RemoteMemory& memory, const PythonRuntime& runtime,
                                                    CodeCache& codes, const ChainLink& caller,
                                                    std::span<const std::uint64_t> frame_objects);

}  // namespace sampler
