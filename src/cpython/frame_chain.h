#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "sampler/cpython/code_cache.h"
#include "sampler/cpython/frame_walker.h"
#include "sampler/cpython/python_runtime.h"
#include "sampler/cpython/thread_stack.h"
#include "sampler/memory/remote_memory.h"

namespace sampler {

/// The fields of a frame, as copied; those that its layout does not have are 0.
struct FrameFields {
  RemoteAddress previous;
  RemoteAddress executable;  ///< without its tag
  RemoteAddress function;    ///< without its tag
  RemoteAddress first_local;
  RemoteAddress stack_pointer;
  std::uint64_t instruction = 0;
  std::int32_t bytecode_index = 0;
  std::int32_t stack_top = 0;
  std::uint16_t return_offset = 0;
  std::int64_t references = 0;
  std::int8_t state = 0;
  std::uint8_t owner = 0;
  std::uint8_t is_entry = 0;
};

/// The fields in `bytes`, which are layout.frame.size bytes from a frame's start.
[[nodiscard]] FrameFields frame_fields(const std::byte* bytes, const Layout& layout);
[[nodiscard]] std::optional<FrameFields> read_frame(RemoteMemory& memory, const Layout& layout,
                                                    RemoteAddress address);

/// A frame's instruction as if its thread ran the code's own bytecode and no copy of it; nothing where the
/// frame names a copy that is not there.
[[nodiscard]] std::optional<std::uint64_t> own_instruction(RemoteMemory& memory, const Layout& layout,
                                                           const CodeObject& code, const FrameFields& frame);

/// Whether this Python puts a trampoline below what C calls: 3.12 on.
[[nodiscard]] inline bool has_trampolines(const LayoutTraits& traits) noexcept {
  constexpr std::uint8_t none = 255;
  return traits.first_trampoline_owner != none;
}

/// A link of the chain; the frame has no code where the link is none of the stack's.
struct ChainLink {
  RemoteAddress address;
  RawFrame frame;
  bool is_trampoline = false;
  FrameFields fields{};
  RemoteAddress end{};  ///< where it ends on the data stack; null where it lies elsewhere
};

/// Where an interpreter frame lies: FRAME_OWNED_BY_THREAD and FRAME_OWNED_BY_GENERATOR, in 3.11 to 3.15.
inline constexpr std::uint8_t owned_by_thread = 0;
inline constexpr std::uint8_t owned_by_generator = 1;

/// The links that a walk comes by, innermost first.
struct WalkedChain {
  std::vector<ChainLink> links;
  std::size_t frame_count = 0;
  StackEnd end = StackEnd::complete;
  bool came_by = false;     ///< came to the expected frame
  RemoteAddress known;      ///< the link that the rest is known from; null where it was walked to its root
  RemoteAddress known_end;  ///< of the data stack at that link; null where none of its frames lies there
};

/// A thread's data stack; null where its layout or its thread state does not tell.
struct DataStack {
  RemoteAddress top;    ///< where the next frame goes
  RemoteAddress chunk;  ///< the newest _PyStackChunk
};

/// Where a walk starts.
struct ChainStart {
  std::optional<RemoteAddress>
      innermost;         ///< null where the thread runs no Python, nothing where it cannot be read
  RemoteAddress caller;  ///< a frame that the chain must come to; null where none is known
  RemoteAddress loop;    ///< the cframe of the innermost evaluation loop; null where there are none
  RemoteAddress outer;   ///< the cframe of the loop that it was called from, as it says itself
  RemoteAddress state;   ///< the thread state
  DataStack data_stack;  ///< where there are loops
};

/// What is known of a thread's stack before a walk.
class KnownLinks {
 public:
  KnownLinks() = default;
  KnownLinks(const KnownLinks&) = delete;
  KnownLinks& operator=(const KnownLinks&) = delete;
  virtual ~KnownLinks() = default;

  /// The end of the data stack at a known link, null where none of its frames lies there; nothing where the
  /// link is not known.
  [[nodiscard]] virtual std::optional<RemoteAddress> data_end_at(RemoteAddress /*link*/) const {
    return std::nullopt;
  }
  /// Whether a known link is called from this frame, in the end.
  [[nodiscard]] virtual bool leads_to(RemoteAddress /*link*/, RemoteAddress /*frame*/) const { return false; }
};

[[nodiscard]] ChainStart start_of(RemoteMemory& memory, const Layout& layout, RemoteAddress thread_state);

/// The cframe of a thread state, which lies on the C stack of the thread that runs it; nothing where this
/// Python has none.
[[nodiscard]] std::optional<RemoteAddress> place_of_cframe(RemoteMemory& memory, const Layout& layout,
                                                           RemoteAddress thread_state);

/// Walks until the root or a link that is known. Of a thread that stands still the chain is that of the call
/// it is in, or unreadable:
/// - An evaluation loop that begins links its cframe into the thread before it fills it in (3.11, 3.12). What
///   is there then is left over on the C stack. The thread still is where the loop was called from.
/// - A frame that has not begun may have been made the current one before it was told its caller: compilers
///   swap the two stores.
/// - The callers of a generator that yields at this moment are not to be had.
[[nodiscard]] WalkedChain walk_chain(RemoteMemory& memory, const PythonRuntime& runtime, CodeCache& codes,
                                     const ChainStart& start, Motion motion, const KnownLinks& known);

}  // namespace sampler
