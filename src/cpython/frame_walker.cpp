#include "sampler/cpython/frame_walker.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <string_view>

namespace sampler {
namespace {

/// The fields of a frame that a walk needs.
struct FrameFields {
  RemoteAddress previous;
  RemoteAddress executable;
  std::uint64_t instruction = 0;
  std::uint8_t owner = 0;
};

/// The bytes of an instruction field: an i32 offset or a pointer.
std::size_t instruction_size(InstructionPointer kind) {
  return kind == InstructionPointer::pointer ? sizeof(std::uint64_t) : sizeof(std::int32_t);
}

std::optional<FrameFields> read_frame(RemoteMemory& memory, const Layout& layout, RemoteAddress address) {
  std::array<std::byte, 512> buffer;
  const auto& frame = layout.frame;
  if (frame.size > buffer.size()) return std::nullopt;
  if (!memory.read(address, std::span{buffer}.first(frame.size))) return std::nullopt;
  FrameFields fields;
  std::memcpy(&fields.previous, buffer.data() + frame.previous.offset, sizeof fields.previous);
  std::memcpy(&fields.executable, buffer.data() + frame.executable.offset, sizeof fields.executable);
  std::memcpy(&fields.instruction, buffer.data() + frame.instruction.offset,
              instruction_size(layout.traits.instruction));
  if (frame.owner.exists())
    std::memcpy(&fields.owner, buffer.data() + frame.owner.offset, sizeof fields.owner);
  return fields;
}

std::optional<RemoteAddress> pointer_at(RemoteMemory& memory, RemoteAddress at) {
  const auto value = read_as<RemoteAddress>(memory, at);
  return value ? std::optional{*value} : std::nullopt;
}

/// Where a walk starts.
struct Start {
  std::optional<RemoteAddress>
      innermost;         ///< null where the thread runs no Python, nothing where it cannot be read
  RemoteAddress caller;  ///< a frame that the chain must come to; null where none is known
};

Start start_of(RemoteMemory& memory, const Layout& layout, RemoteAddress thread) {
  switch (layout.traits.frame_chain) {
    case FrameChain::frame_objects:
      return {pointer_at(memory, thread + layout.thread.frame.offset), {}};
    case FrameChain::direct:
      return {pointer_at(memory, thread + layout.thread.current_frame.offset), {}};
    case FrameChain::through_cframe:
      break;
  }
  const auto cframe = pointer_at(memory, thread + layout.thread.cframe.offset);
  if (!cframe || cframe->is_null()) return {cframe, {}};
  const auto innermost = pointer_at(memory, *cframe + layout.cframe.current_frame.offset);
  const auto outer = pointer_at(memory, *cframe + layout.cframe.previous.offset);
  if (!outer || outer->is_null()) return {innermost, {}};
  return {innermost,
          pointer_at(memory, *outer + layout.cframe.current_frame.offset).value_or(RemoteAddress{})};
}

/// A stack, and whether its chain came to a frame.
struct Walk {
  RawStack stack;
  bool came_by = false;
};

Walk walk_chain(RemoteMemory& memory, const PythonRuntime& runtime, CodeCache& codes,
                std::optional<RemoteAddress> next, RemoteAddress expected) {
  const auto& layout = *runtime.layout;
  Walk walk;
  auto& stack = walk.stack;
  if (!next) stack.end = StackEnd::unreadable;
  // Trampolines are no frames of the stack, so the steps are bounded apart from it.
  for (std::size_t steps = 0; next && !next->is_null(); ++steps) {
    walk.came_by = walk.came_by || *next == expected;
    if (steps >= 2 * most_frames || stack.frames.size() >= most_frames) {
      stack.end = StackEnd::too_deep;
      break;
    }
    const auto frame = read_frame(memory, layout, *next);
    if (!frame) {
      stack.end = StackEnd::unreadable;
      break;
    }
    if (frame->owner < layout.traits.first_trampoline_owner) {
      auto* code = codes.find(memory, frame->executable.without_tag(layout.traits.executable_tag_mask));
      if (code == nullptr || !code->contains(frame->instruction)) {
        stack.end = StackEnd::unreadable;
        break;
      }
      stack.frames.push_back({*next, code, frame->instruction});
    }
    next = frame->previous;
  }
  return walk;
}

FrameId mark(StackTable& stacks, std::string_view text) {
  return stacks.intern(Frame{FrameKind::mark, stacks.intern(text), stacks.intern(""), 0});
}

}  // namespace

RawStack walk_frames(RemoteMemory& memory, const PythonRuntime& runtime, CodeCache& codes,
                     RemoteAddress thread_state) {
  const auto start = start_of(memory, *runtime.layout, thread_state);
  auto walk = walk_chain(memory, runtime, codes, start.innermost, start.caller);
  if (walk.came_by || start.caller.is_null() || walk.stack.end == StackEnd::too_deep)
    return std::move(walk.stack);
  // An evaluation loop that begins links its cframe into the thread before it fills it in: what is there then
  // is left over on the C stack, and the thread still is where the loop was called from.
  auto outer = walk_chain(memory, runtime, codes, start.caller, start.caller).stack;
  return outer.end == StackEnd::complete ? std::move(outer) : std::move(walk.stack);
}

StackId decode_stack(const RawStack& stack, const Layout& layout, StackTable& stacks) {
  auto id = StackId::empty;
  switch (stack.end) {
    case StackEnd::complete:
      break;
    case StackEnd::too_deep:
      id = stacks.push(id, mark(stacks, "<too deep>"));
      break;
    case StackEnd::unreadable:
      id = unreadable_stack(stacks);
      break;
  }
  for (auto frame = stack.frames.rbegin();  // NOLINT(modernize-loop-convert): ranges are beyond clang 14
       frame != stack.frames.rend(); ++frame) {
    id = stacks.push(id, frame->code->frame_at(frame->instruction, layout, stacks));
  }
  return id;
}

StackId unreadable_stack(StackTable& stacks) {
  return stacks.push(StackId::empty, mark(stacks, "<unreadable>"));
}

}  // namespace sampler
