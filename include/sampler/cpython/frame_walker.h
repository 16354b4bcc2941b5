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

/// Remembers what a caller calls at its instruction, for when a stack does not tell it. Of a stack that is
/// proven.
void learn_call(const RawStack& stack);

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
