#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "frame_chain.h"
#include "sampler/cpython/layout.h"
#include "sampler/memory/remote_memory.h"

namespace sampler {

// From 3.11 on the frames of a thread lie end to end on its data stack, in chunks of their own (pystate.c,
// push_chunk): a caller ends where its callee begins. Frames of generators lie in their objects, and what C
// pushes in between on the C stack; neither breaks the row. Frames whose place is right from the root on are
// the ones that live: the first is always at the same place, and each says where the next one is.

/// Bytes of _PyStackChunk before its data: previous, size, and the index that its top had when the next one
/// was added. The first word of the first chunk's data is never used.
inline constexpr std::uint64_t chunk_head = 3 * sizeof(RemoteAddress);

/// Where a frame on the data stack ends; null for a frame that lies elsewhere and where the layout does not
/// tell.
[[nodiscard]] RemoteAddress end_on_data_stack(const Layout& layout, const FrameFields& fields,
                                              const CodeObject& code, RemoteAddress address);

/// Whether the frame that begins at `begin` is the next one on the data stack after what ends at `end`.
[[nodiscard]] bool follows(RemoteMemory& memory, RemoteAddress end, RemoteAddress begin);

/// Whether a frame that begins here is the first on its data stack.
[[nodiscard]] bool begins_data_stack(RemoteMemory& memory, RemoteAddress begin);

/// How many links of a chain, from the leaf on, are not proven by the places of their frames: 0 where each
/// frame is at its place from the root on; nothing where the root is not.
[[nodiscard]] std::optional<std::size_t> count_unproven(RemoteMemory& memory, const WalkedChain& chain);

/// The end of the data stack as a chain has it; null where it has none of its frames.
[[nodiscard]] RemoteAddress data_end_of(const WalkedChain& chain);

/// The frame on the data stack that ends where `leaf` begins; null where none is found.
[[nodiscard]] RemoteAddress frame_below(RemoteMemory& memory, const PythonRuntime& runtime, CodeCache& codes,
                                        const DataStack& stack, RemoteAddress leaf);

/// What lies between the end of a chain and the top of the data stack.
enum class Top : std::uint8_t {
  reached,   ///< nothing: the chain has all frames that lie there
  one_more,  ///< a frame that is about to be called, or has just returned
  unmade,    ///< what may be a frame that is being made
  missed,    ///< something else: the chain is not the thread's
};
[[nodiscard]] Top top_of(RemoteMemory& memory, const PythonRuntime& runtime, CodeCache& codes,
                         const DataStack& stack, const WalkedChain& chain);

}  // namespace sampler
