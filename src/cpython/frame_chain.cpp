#include "frame_chain.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "data_stack.h"
#include "moving_stack.h"
#include "sampler/cpython/c_stack.h"

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

/// One walk: what it is of, and where it starts.
struct Walk {
  RemoteMemory& memory;
  const PythonRuntime& runtime;
  CodeCache& codes;
  const ChainStart& start;
  Motion motion;
  const KnownLinks& known;

  [[nodiscard]] const Layout& layout() const { return *runtime.layout; }
};

/// Whether a frame lies where the innermost evaluation loop has its trampoline: on the C stack.
bool is_in_the_loop(const Walk& walk, RemoteAddress frame) {
  constexpr std::uint64_t largest_distance = 1024;
  const auto loop = walk.start.loop.value;
  return loop != 0 && frame.value - loop + largest_distance < 2 * largest_distance;
}

/// The frame as a link of the chain; nothing where it makes no sense.
std::optional<ChainLink> link_of(const Walk& walk, RemoteAddress address, const FrameFields& fields) {
  const auto& layout = walk.layout();
  ChainLink link{
      address, {address, nullptr, 0}, fields.owner >= layout.traits.first_trampoline_owner, fields};
  if (link.is_trampoline) return link;
  if (is_in_the_loop(walk, address)) return std::nullopt;
  auto* const code = walk.motion == Motion::possible ? walk.codes.find_lasting(walk.memory, fields.executable)
                                                     : walk.codes.find(walk.memory, fields.executable);
  const auto instruction =
      code == nullptr ? std::nullopt : own_instruction(walk.memory, layout, *code, fields);
  if (!instruction || !code->contains(*instruction)) return std::nullopt;
  link.end = end_on_data_stack(layout, fields, *code, address);
  if (!code->is_internal()) link.frame = {address, code, *instruction};
  return link;
}

/// The chain from one frame on.
WalkedChain walk_from(const Walk& walk, std::optional<RemoteAddress> next, RemoteAddress expected) {
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
    if (const auto data_end = walk.known.data_end_at(*next)) {
      chain.known = *next;
      chain.known_end = *data_end;
      chain.came_by = chain.came_by || walk.known.leads_to(*next, expected);
      break;
    }
    chain.came_by = chain.came_by || *next == expected;
    if (steps >= 2 * most_frames || chain.frame_count >= most_frames) {
      chain.end = StackEnd::too_deep;
      break;
    }
    const auto frame = read_frame(walk.memory, walk.layout(), *next);
    const bool is_trampoline = frame && frame->owner >= walk.layout().traits.first_trampoline_owner;
    if (frame && walk.motion == Motion::possible && !is_trampoline && frame->executable.is_null()) {
      // It has returned since (3.14 on clears it then): the thread went on in its caller.
      chain.links.clear();
      chain.frame_count = 0;
      next = frame->previous;
      continue;
    }
    const auto link = frame ? link_of(walk, *next, *frame) : std::nullopt;
    if (!link) {
      chain.end = StackEnd::unreadable;
      break;
    }
    if (link->frame.code != nullptr) ++chain.frame_count;
    chain.links.push_back(*link);
    next = frame->previous;
  }
  return chain;
}

/// Whether the leaf has not begun: it may not know its caller yet.
bool has_not_begun(const WalkedChain& chain) {
  if (chain.links.empty() || chain.links.front().frame.code == nullptr) return false;
  const auto& leaf = chain.links.front().frame;
  return !leaf.code->has_begun_at(leaf.instruction);
}

/// The first of the chain's frames outside of its leaf that is the program's; null where there is none.
const ChainLink* caller_of_leaf(const WalkedChain& chain) {
  const auto caller = std::find_if(chain.links.begin() + 1, chain.links.end(),
                                   [](const ChainLink& link) { return link.frame.code != nullptr; });
  return caller == chain.links.end() ? nullptr : &*caller;
}

/// Whether the innermost evaluation loop runs the chain's inner frames: that loop was called from where the
/// first of them was.
bool is_of_innermost_loop(const Walk& walk, const WalkedChain& chain) {
  const auto first = std::find_if(chain.links.begin(), chain.links.end(), [](const ChainLink& link) {
    return link.is_trampoline || link.fields.is_entry != 0;
  });
  return first != chain.links.end() && first->fields.previous == walk.start.caller;
}

/// Whether the caller of a leaf that has not begun is the one that it names.
bool knows_its_caller(const Walk& walk, const WalkedChain& chain) {
  if (chain.end != StackEnd::complete || count_unproven(walk.memory, chain) != 0) return false;
  const auto* const caller = caller_of_leaf(chain);
  if (caller == nullptr) return true;
  // Generators lie elsewhere: one that the caller has resumed, and that calls the leaf, may be left out.
  // Those that C resumes have loops of their own.
  const bool is_within_loop = &chain.links[1] == caller && chain.links.front().fields.is_entry == 0;
  const auto tie = tie_of(walk.memory, walk.layout(), *caller, chain.links.front());
  if (tie == Tie::calls_another) return false;
  if (is_within_loop && tie == Tie::calls) return true;
  // Else it has not noted yet that it calls, or C has called.
  return is_of_innermost_loop(walk, chain) &&
         (is_within_loop || caller->frame.code->calls_functions(caller->frame.instruction));
}

/// The chain of a leaf that does not know its caller: that lies below it on the data stack, unless a
/// generator called it.
std::optional<WalkedChain> with_its_caller(const Walk& walk, const WalkedChain& chain) {
  const auto& leaf = chain.links.front();
  if (leaf.end.is_null() || leaf.fields.is_entry != 0) return std::nullopt;
  const auto below = frame_below(walk.memory, walk.runtime, walk.codes, walk.start.data_stack, leaf.address);
  if (below.is_null()) return std::nullopt;
  auto whole = walk_from(walk, below, walk.start.caller);
  whole.links.insert(whole.links.begin(), leaf);
  ++whole.frame_count;
  return knows_its_caller(walk, whole) ? std::optional{std::move(whole)} : std::nullopt;
}

/// The words of a cframe.
struct Loop {
  RemoteAddress current, outer;
};

Loop loop_at(const Walk& walk, std::span<const std::byte> c_stack, std::size_t at) {
  const auto& fields = walk.layout().cframe;
  Loop loop;
  std::memcpy(&loop.current, c_stack.data() + at + fields.current_frame.offset, sizeof loop.current);
  std::memcpy(&loop.outer, c_stack.data() + at + fields.previous.offset, sizeof loop.outer);
  return loop;
}

/// Whether words of the C stack, `size` bytes of which are a cframe, can be that of an evaluation loop: each
/// leads to the one that it was called from, up to the first. That takes no look at the target's memory.
bool may_be_loop(const Walk& walk, std::span<const std::byte> c_stack, std::size_t at, std::size_t size) {
  constexpr int most_loops = 256;
  constexpr std::uint64_t most_c_stack = 64U << 20U;
  constexpr std::uint64_t largest_state = 4096;
  for (int i = 0; i < most_loops; ++i) {
    const auto loop = loop_at(walk, c_stack, at);
    const bool is_frame = !loop.current.is_null() && loop.current.value % sizeof(RemoteAddress) == 0;
    if (!is_frame) return false;
    // The outermost loop was called with the cframe that is a part of the thread state.
    if (loop.outer.value - walk.start.state.value < largest_state) return true;
    const auto distance = loop.outer.value - (walk.start.loop + at).value;
    if (loop.outer.value % sizeof(RemoteAddress) != 0 || distance == 0 || distance > most_c_stack)
      return false;
    at += distance;
    if (at + size > c_stack.size()) return true;  // beyond what was copied
  }
  return false;
}

/// Whether a chain has all frames of the data stack, but for one that is about to be called at most.
bool ends_at_top(const Walk& walk, const WalkedChain& chain) {
  if (count_unproven(walk.memory, chain) != 0) return false;
  const auto top = top_of(walk.memory, walk.runtime, walk.codes, walk.start.data_stack, chain);
  return top == Top::reached || top == Top::one_more;
}

/// The chain of the evaluation loop that called the innermost one, which itself does not tell yet: the
/// nearest on the C stack whose frames are all of the thread's.
std::optional<WalkedChain> chain_of_calling_loop(const Walk& walk) {
  constexpr int most_tried = 16;
  constexpr std::uint64_t most_bytes = 64U << 10U;
  const auto& fields = walk.layout().cframe;
  const auto size = std::max(fields.current_frame.offset, fields.previous.offset) + sizeof(RemoteAddress);
  const auto c_stack = copy_c_stack(walk.memory, walk.start.loop, walk.start.loop + most_bytes);
  int tried = 0;
  for (auto at = sizeof(RemoteAddress); at + size <= c_stack.size() && tried < most_tried;
       at += sizeof(RemoteAddress)) {
    const auto current = loop_at(walk, c_stack, at).current;
    // A frame on the C stack is a trampoline, which calls nothing.
    const bool is_on_c_stack = current.value - walk.start.loop.value < c_stack.size();
    if (is_on_c_stack || !may_be_loop(walk, c_stack, at, size)) continue;
    ++tried;
    auto chain = walk_from(walk, current, {});
    // What calls is a frame of the program, and has begun. Else the words are two pointers that are no
    // loop's.
    const bool may_call = chain.end == StackEnd::complete && !chain.links.empty() &&
                          chain.links.front().frame.code != nullptr && !has_not_begun(chain);
    if (may_call && ends_at_top(walk, chain)) return chain;
  }
  return std::nullopt;
}

/// The chain of a thread whose innermost evaluation loop does not tell its caller yet.
WalkedChain chain_outside_of_loop(const Walk& walk, WalkedChain chain) {
  const auto& start = walk.start;
  const bool is_told = !start.data_stack.top.is_null();
  if (is_told) {
    if (auto calling = chain_of_calling_loop(walk)) return std::move(*calling);
  }
  if (!start.caller.is_null()) {
    auto outer = walk_from(walk, start.caller, start.caller);
    if (outer.end == StackEnd::complete && (!is_told || ends_at_top(walk, outer))) return outer;
  }
  if (!is_told) return chain;
  // What could not be read is a part of the stack; what could be read is no stack of this moment.
  if (chain.end == StackEnd::complete) chain = {};
  chain.end = StackEnd::unreadable;
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
  ChainStart start;
  start.state = thread_state;
  if (thread.data_stack_top.exists() && thread.data_stack_chunk.exists()) {
    start.data_stack = {
        pointer_at(memory, thread_state + thread.data_stack_top.offset).value_or(RemoteAddress{}),
        pointer_at(memory, thread_state + thread.data_stack_chunk.offset).value_or(RemoteAddress{})};
  }
  switch (layout.traits.frame_chain) {
    case FrameChain::frame_objects:
      start.innermost = pointer_at(memory, thread_state + thread.frame.offset);
      return start;
    case FrameChain::direct:
      start.innermost = pointer_at(memory, thread_state + thread.current_frame.offset);
      return start;
    case FrameChain::through_cframe:
      break;
  }
  const auto cframe = pointer_at(memory, thread_state + thread.cframe.offset);
  start.innermost = cframe;
  if (!cframe || cframe->is_null()) return start;
  start.loop = *cframe;
  start.innermost = pointer_at(memory, *cframe + layout.cframe.current_frame.offset);
  start.outer = pointer_at(memory, *cframe + layout.cframe.previous.offset).value_or(RemoteAddress{});
  if (start.outer.is_null()) return start;
  start.caller =
      pointer_at(memory, start.outer + layout.cframe.current_frame.offset).value_or(RemoteAddress{});
  return start;
}

std::optional<RemoteAddress> place_of_cframe(RemoteMemory& memory, const Layout& layout,
                                             RemoteAddress thread_state) {
  const auto cframe = layout.thread.cframe;
  if (!cframe.exists()) return std::nullopt;
  return pointer_at(memory, thread_state + cframe.offset).value_or(RemoteAddress{});
}

WalkedChain walk_chain(RemoteMemory& memory, const PythonRuntime& runtime, CodeCache& codes,
                       const ChainStart& start, Motion motion, const KnownLinks& known) {
  const Walk walk{memory, runtime, codes, start, motion, known};
  auto chain = walk_from(walk, start.innermost, start.caller);
  if (is_at_a_yield(chain, runtime.layout->traits)) {
    chain.end = StackEnd::unreadable;
    return chain;
  }
  if (chain.end == StackEnd::too_deep) return chain;
  const bool came_by = chain.came_by || start.caller.is_null();
  if (motion == Motion::possible) {
    if (!came_by) chain.end = StackEnd::unreadable;
    return chain;
  }
  if (start.loop.is_null()) return chain;
  const bool is_told = !start.data_stack.top.is_null();
  if (is_told && has_not_begun(chain) && !knows_its_caller(walk, chain)) {
    if (auto whole = with_its_caller(walk, chain)) return std::move(*whole);
    chain.end = StackEnd::unreadable;
  }
  const bool is_sure = chain.end == StackEnd::complete && came_by;
  switch (is_sure ? top_of(memory, runtime, codes, start.data_stack, chain) : Top::missed) {
    case Top::reached:
      return chain;
    case Top::one_more:
    case Top::unmade:
      // The chain is whole, but where another loop has what lies there: then this one's cframe is left over.
      if (auto calling = chain_of_calling_loop(walk)) return std::move(*calling);
      return chain;
    case Top::missed:
      break;
  }
  return chain_outside_of_loop(walk, std::move(chain));
}

}  // namespace sampler
