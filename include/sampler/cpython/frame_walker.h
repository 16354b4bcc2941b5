#pragma once

#include <cstdint>
#include <vector>

#include "sampler/cpython/code_cache.h"
#include "sampler/cpython/python_runtime.h"
#include "sampler/memory/remote_memory.h"

namespace sampler {

/// How a stack ends at its root.
enum class StackEnd : std::uint8_t {
  complete,
  too_deep,    ///< cut after most_frames
  unreadable,  ///< a frame or its code object made no sense
  torn,        ///< changed while it was read: the part next to the root that made sense
};

/// Frames of one stack, at most; the outermost beyond it are cut.
inline constexpr std::size_t most_frames = 20000;

/// One call, as copied: its place in the code is not decoded yet. Or the border of an interpreter's part of
/// the stack.
struct RawFrame {
  RemoteAddress address;          ///< of the frame itself; null for a border
  CodeObject* code = nullptr;     ///< of a CodeCache, until its next begin_tick(); nullptr for a border
  std::uint64_t instruction = 0;  ///< as trait.instruction says; the interpreter's id for a border

  friend bool operator==(const RawFrame&, const RawFrame&) = default;
};

/// A thread's stack, innermost call first.
struct RawStack {
  std::vector<RawFrame> frames;
  StackEnd end = StackEnd::complete;
  RemoteAddress c_stack;  ///< a place on the C stack of the thread that runs it; null where none is known

  friend bool operator==(const RawStack&, const RawStack&) = default;
};

/// Follows a thread state's frames and copies what decoding them will need. A damaged chain keeps its inner
/// part.
[[nodiscard]] RawStack walk_frames(RemoteMemory& memory, const PythonRuntime& runtime, CodeCache& codes,
                                   RemoteAddress thread_state);

/// Whether a thread's frames could change while they were copied.
enum class Motion : std::uint8_t {
  none,
  possible,  ///< what makes no sense was torn: the part next to the root that did not change is kept
};

/// A thread's stack as it was walked last: the next walk looks only at what has changed since, as a sample
/// after the other mostly shares its callers. Of memory that tells what has not changed.
class ThreadStack {
 public:
  /// Follows a thread state's frames, as walk_frames().
  void walk(RemoteMemory& memory, const PythonRuntime& runtime, CodeCache& codes, RemoteAddress thread_state,
            Motion motion = Motion::none);

  /// What was walked last is no longer that of the sample before.
  void forget() noexcept { end_ = StackEnd::unreadable; }

  [[nodiscard]] StackEnd end() const noexcept { return end_; }
  [[nodiscard]] std::size_t frame_count() const noexcept { return frames_.size(); }
  /// A place on the C stack of the thread that runs it, as RawStack has it.
  [[nodiscard]] RemoteAddress c_stack() const noexcept { return c_stack_; }
  /// The stack in the table, as decode_stack(). Before the codes' next begin_tick().
  [[nodiscard]] StackId decode(const Layout& layout, StackTable& stacks);

 private:
  /// One link of the chain: a frame, or what is none of the stack's.
  struct Link {
    std::uint64_t address = 0;
    std::size_t frame_count = 0;  ///< frames from the root up to and with this one
    bool is_trampoline = false;
  };
  /// Links at rising addresses that lie close together, root first: what has not changed is found faster by
  /// the piece.
  struct Piece {
    std::uint64_t begin = 0, end = 0;
    std::size_t link_count = 0;  ///< links from the root up to and with this piece
  };

  /// How many links from the root inward are what they were.
  [[nodiscard]] std::size_t count_unchanged(RemoteMemory& memory, const Layout& layout) const;
  /// Whether the frames that are left are of the code objects that they were of.
  [[nodiscard]] bool are_codes_same(RemoteMemory& memory, CodeCache& codes) const;
  /// The link's number from the root on, 1 the first; 0 where it is none of the inner ones.
  [[nodiscard]] std::size_t find(RemoteAddress address) const noexcept;
  /// Null where there is none.
  [[nodiscard]] RemoteAddress innermost_trampoline() const;
  void truncate(std::size_t link_count, const Layout& layout);
  void append(const Link& link, const Layout& layout);

  std::vector<Link> links_;       // root first
  std::vector<Piece> pieces_;     // of the links
  std::vector<RawFrame> frames_;  // root first
  std::vector<StackId> ids_;      // of frames_ up to and with each, as far as decoded
  StackEnd end_ = StackEnd::complete;
  RemoteAddress c_stack_;
  std::uint64_t generation_ = 0;
};

/// What one interpreter has of a thread's stack.
struct InterpreterStack {
  std::uint64_t interpreter = 0;  ///< its id
  RawStack stack;
};

/// The stack of a thread that is inside several interpreters: the inner one's part first, and a border
/// outside of each part.
[[nodiscard]] RawStack join_stacks(std::vector<InterpreterStack> parts);

/// Decodes a copied stack into the table; its end, where not complete, becomes a mark at the root.
[[nodiscard]] StackId decode_stack(const RawStack& stack, const Layout& layout, StackTable& stacks);

/// The stack that is nothing but the mark <unreadable>.
[[nodiscard]] StackId unreadable_stack(StackTable& stacks);

}  // namespace sampler
