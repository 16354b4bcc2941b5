#include "frame_chain.h"

#include <array>
#include <cstring>
#include <utility>

namespace sampler {
namespace {

template <class T>
T field_at(const std::byte* bytes, const FrameLayout& frame, Field<T> field) {
  T value{};
  if (field.exists() && field.offset + sizeof(T) <= frame.size) {
    std::memcpy(&value, bytes + field.offset, sizeof(T));
  }
  return value;
}

std::optional<RemoteAddress> pointer_at(RemoteMemory& memory, RemoteAddress at) {
  const auto value = read_as<RemoteAddress>(memory, at);
  return value ? std::optional{*value} : std::nullopt;
}

/// Whether the thread is at a generator that yields. In 3.12 on that loses its caller an instruction before
/// the thread goes on there; what C resumes has a trampoline below.
bool is_at_a_yield(const WalkedChain& chain, const LayoutTraits& traits) {
  return has_trampolines(traits) && chain.known.is_null() && chain.end == StackEnd::complete &&
         chain.links.size() == 1 && chain.links.front().fields.owner == owned_by_generator;
}

/// The chain from one frame on.
WalkedChain walk_from(RemoteMemory& memory, const PythonRuntime& runtime, CodeCache& codes,
                      std::optional<RemoteAddress> next, RemoteAddress expected, Motion motion,
                      const std::function<bool(RemoteAddress)>& is_known) {
  const auto& layout = *runtime.layout;
  WalkedChain chain;
  if (!next) chain.end = StackEnd::unreadable;
  RemoteAddress passed;  // a link that must not come again: of another one each time that the steps double
  // Trampolines are no frames of the stack, so the steps are bounded apart from it.
  for (std::size_t steps = 0; next && !next->is_null(); ++steps) {
    if (*next == passed) {
      chain.end = StackEnd::unreadable;  // a circle: a frame was used anew meanwhile
      break;
    }
    if ((steps & (steps - 1)) == 0) passed = *next;
    if (is_known(*next)) {
      chain.known = *next;
      break;
    }
    chain.came_by = chain.came_by || *next == expected;
    if (steps >= 2 * most_frames || chain.frame_count >= most_frames) {
      chain.end = StackEnd::too_deep;
      break;
    }
    const auto frame = read_frame(memory, layout, *next);
    if (!frame) {
      chain.end = StackEnd::unreadable;
      break;
    }
    const bool is_trampoline = frame->owner >= layout.traits.first_trampoline_owner;
    if (motion == Motion::possible && !is_trampoline && frame->executable.is_null()) {
      // It has returned since (3.14 on clears it then): the thread went on in its caller.
      chain.links.clear();
      chain.frame_count = 0;
      next = frame->previous;
      continue;
    }
    ChainLink link{*next, {*next, nullptr, 0}, is_trampoline, *frame};
    if (!is_trampoline) {
      auto* code = motion == Motion::possible ? codes.find_lasting(memory, frame->executable)
                                              : codes.find(memory, frame->executable);
      const auto instruction =
          code == nullptr ? std::nullopt : own_instruction(memory, layout, *code, *frame);
      if (!instruction || !code->contains(*instruction)) {
        chain.end = StackEnd::unreadable;
        break;
      }
      if (!code->is_internal()) {
        link.frame = {*next, code, *instruction};
        ++chain.frame_count;
      }
    }
    chain.links.push_back(link);
    next = frame->previous;
  }
  return chain;
}

}  // namespace

FrameFields frame_fields(const std::byte* bytes, const Layout& layout) {
  const auto& frame = layout.frame;
  FrameFields fields;
  fields.previous = field_at(bytes, frame, frame.previous);
  fields.executable = field_at(bytes, frame, frame.executable).without_tag(layout.traits.executable_tag_mask);
  if (layout.traits.instruction == InstructionPointer::pointer) {
    fields.instruction = field_at(bytes, frame, frame.instruction);
  } else {
    std::memcpy(&fields.instruction, bytes + frame.instruction.offset, sizeof(std::int32_t));
  }
  fields.owner = field_at(bytes, frame, frame.owner);
  fields.bytecode_index = field_at(bytes, frame, frame.bytecode_index);
  fields.function = field_at(bytes, frame, frame.function).without_tag(layout.traits.executable_tag_mask);
  fields.first_local = field_at(bytes, frame, frame.locals);
  fields.stack_pointer = field_at(bytes, frame, frame.stack_pointer);
  fields.stack_top = field_at(bytes, frame, frame.stack_top);
  fields.return_offset = field_at(bytes, frame, frame.return_offset);
  fields.references = field_at(bytes, frame, frame.references);
  fields.state = field_at(bytes, frame, frame.state);
  fields.is_entry = field_at(bytes, frame, frame.is_entry);
  return fields;
}

std::optional<FrameFields> read_frame(RemoteMemory& memory, const Layout& layout, RemoteAddress address) {
  std::array<std::byte, most_struct_bytes> buffer;
  const auto size = layout.frame.size;
  if (size > buffer.size()) return std::nullopt;
  if (const auto* const bytes = memory.view(address, size)) return frame_fields(bytes, layout);
  if (!memory.read(address, std::span{buffer}.first(size))) return std::nullopt;
  return frame_fields(buffer.data(), layout);
}

std::optional<std::uint64_t> own_instruction(RemoteMemory& memory, const Layout& layout,
                                             const CodeObject& code, const FrameFields& frame) {
  if (frame.bytecode_index == 0 || code.thread_bytecode().is_null()) return frame.instruction;
  const auto copies = read_as<std::int64_t>(memory, code.thread_bytecode());
  if (!copies || frame.bytecode_index < 0 || frame.bytecode_index >= *copies) return std::nullopt;
  const auto entry =
      pointer_at(memory, code.thread_bytecode() + layout.code.thread_bytecode_entries.offset +
                             static_cast<std::uint64_t>(frame.bytecode_index) * sizeof(RemoteAddress));
  if (!entry) return std::nullopt;
  if (entry->is_null()) return frame.instruction;
  return frame.instruction - entry->value + code.bytecode().value;
}

ChainStart start_of(RemoteMemory& memory, const Layout& layout, RemoteAddress thread_state) {
  const auto& thread = layout.thread;
  switch (layout.traits.frame_chain) {
    case FrameChain::frame_objects:
      return {pointer_at(memory, thread_state + thread.frame.offset), {}};
    case FrameChain::direct:
      return {pointer_at(memory, thread_state + thread.current_frame.offset), {}};
    case FrameChain::through_cframe:
      break;
  }
  const auto cframe = pointer_at(memory, thread_state + thread.cframe.offset);
  if (!cframe || cframe->is_null()) return {cframe, {}};
  const auto innermost = pointer_at(memory, *cframe + layout.cframe.current_frame.offset);
  const auto outer = pointer_at(memory, *cframe + layout.cframe.previous.offset);
  if (!outer || outer->is_null()) return {innermost, {}};
  return {innermost,
          pointer_at(memory, *outer + layout.cframe.current_frame.offset).value_or(RemoteAddress{})};
}

std::optional<RemoteAddress> place_of_cframe(RemoteMemory& memory, const Layout& layout,
                                             RemoteAddress thread_state) {
  const auto cframe = layout.thread.cframe;
  if (!cframe.exists()) return std::nullopt;
  return pointer_at(memory, thread_state + cframe.offset).value_or(RemoteAddress{});
}

WalkedChain walk_chain(RemoteMemory& memory, const PythonRuntime& runtime, CodeCache& codes,
                       const ChainStart& start, Motion motion,
                       const std::function<bool(RemoteAddress)>& is_known,
                       const std::function<bool(RemoteAddress)>& leads_to_caller) {
  auto chain = walk_from(memory, runtime, codes, start.innermost, start.caller, motion, is_known);
  if (is_at_a_yield(chain, runtime.layout->traits)) {
    chain.end = StackEnd::unreadable;
    return chain;
  }
  const bool came_by = chain.came_by || leads_to_caller(chain.known);
  if (came_by || start.caller.is_null() || chain.end == StackEnd::too_deep) return chain;
  if (motion == Motion::possible) {
    chain.end = StackEnd::unreadable;
    return chain;
  }
  auto outer = walk_from(memory, runtime, codes, start.caller, start.caller, motion, is_known);
  return outer.end == StackEnd::complete ? std::move(outer) : std::move(chain);
}

}  // namespace sampler
