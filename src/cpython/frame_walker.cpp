#include "sampler/cpython/frame_walker.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <string_view>
#include <unordered_set>

namespace sampler {
namespace {

/// The fields of a frame that a walk needs.
struct FrameFields {
  RemoteAddress previous;
  RemoteAddress executable;
  std::uint64_t instruction = 0;
  std::uint8_t owner = 0;
  std::int32_t bytecode_index = 0;
};

std::optional<FrameFields> read_frame(RemoteMemory& memory, const Layout& layout, RemoteAddress address) {
  std::array<std::byte, 512> buffer;
  const auto& frame = layout.frame;
  if (frame.size > buffer.size()) return std::nullopt;
  const auto* bytes = memory.view(address, frame.size);
  if (bytes == nullptr) {
    if (!memory.read(address, std::span{buffer}.first(frame.size))) return std::nullopt;
    bytes = buffer.data();
  }
  FrameFields fields;
  std::memcpy(&fields.previous, bytes + frame.previous.offset, sizeof fields.previous);
  std::memcpy(&fields.executable, bytes + frame.executable.offset, sizeof fields.executable);
  if (layout.traits.instruction == InstructionPointer::pointer) {
    std::memcpy(&fields.instruction, bytes + frame.instruction.offset, sizeof(std::uint64_t));
  } else {
    std::memcpy(&fields.instruction, bytes + frame.instruction.offset, sizeof(std::int32_t));
  }
  if (frame.owner.exists()) std::memcpy(&fields.owner, bytes + frame.owner.offset, sizeof fields.owner);
  if (frame.bytecode_index.exists()) {
    std::memcpy(&fields.bytecode_index, bytes + frame.bytecode_index.offset, sizeof fields.bytecode_index);
  }
  return fields;
}

std::optional<RemoteAddress> pointer_at(RemoteMemory& memory, RemoteAddress at) {
  const auto value = read_as<RemoteAddress>(memory, at);
  return value ? std::optional{*value} : std::nullopt;
}

/// A frame's instruction as if its thread ran the code's own bytecode and no copy of it.
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

/// A link of the chain; the frame has no code where the link is none of the stack's.
struct ChainLink {
  RemoteAddress address;
  RawFrame frame;
  bool is_trampoline = false;
};

/// The links that a walk comes by, innermost first.
struct Chain {
  std::vector<ChainLink> links;
  std::size_t frame_count = 0;
  StackEnd end = StackEnd::complete;
  RemoteAddress trampoline;  ///< the innermost; null where there is none
  bool came_by = false;      ///< came to the expected frame
  RemoteAddress known;  ///< the link that the rest is known from; null where the chain was walked to its root
};

/// Walks until the root or a link that is known.
template <class IsKnown>
Chain walk_chain(RemoteMemory& memory, const PythonRuntime& runtime, CodeCache& codes,
                 std::optional<RemoteAddress> next, RemoteAddress expected, Motion motion, IsKnown is_known) {
  const auto& layout = *runtime.layout;
  Chain chain;
  if (!next) chain.end = StackEnd::unreadable;
  // Trampolines are no frames of the stack, so the steps are bounded apart from it.
  for (std::size_t steps = 0; next && !next->is_null(); ++steps) {
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
    RawFrame raw{*next, nullptr, 0};
    const auto executable = frame->executable.without_tag(layout.traits.executable_tag_mask);
    if (motion == Motion::possible && executable.is_null() && chain.links.empty()) {
      next = frame->previous;  // it has returned since the thread was said to be there
      continue;
    }
    if (frame->owner < layout.traits.first_trampoline_owner) {
      auto* code = motion == Motion::possible ? codes.find_lasting(memory, executable)
                                              : codes.find(memory, executable);
      const auto instruction =
          code == nullptr ? std::nullopt : own_instruction(memory, layout, *code, *frame);
      if (!instruction || !code->contains(*instruction)) {
        chain.end = StackEnd::unreadable;
        break;
      }
      if (!code->is_internal()) {
        raw = {*next, code, *instruction};
        ++chain.frame_count;
      }
    } else if (chain.trampoline.is_null()) {
      chain.trampoline = *next;
    }
    chain.links.push_back({*next, raw, frame->owner >= layout.traits.first_trampoline_owner});
    next = frame->previous;
  }
  return chain;
}

constexpr auto nothing_is_known = [](RemoteAddress) { return false; };

/// Whether a chain that did not come to an end came by a link again: a frame that was used anew meanwhile.
bool has_cycle(const Chain& chain) {
  if (chain.end != StackEnd::too_deep) return false;
  std::unordered_set<std::uint64_t> seen;
  return std::any_of(chain.links.begin(), chain.links.end(),
                     [&](const ChainLink& link) { return !seen.insert(link.address.value).second; });
}

/// A chain that was walked to its root.
RawStack as_stack(const Chain& chain) {
  RawStack stack{{}, chain.end, chain.trampoline};
  stack.frames.reserve(chain.frame_count);
  for (const auto& link : chain.links) {
    if (link.frame.code != nullptr) stack.frames.push_back(link.frame);
  }
  return stack;
}

/// An evaluation loop that begins links its cframe into the thread before it fills it in: what is there then
/// is left over on the C stack, and the thread still is where the loop was called from. The chain of that,
/// where it is so.
template <class IsKnown, class LeadsToCaller>
Chain walk_from(RemoteMemory& memory, const PythonRuntime& runtime, CodeCache& codes, const Start& start,
                Motion motion, IsKnown is_known, LeadsToCaller leads_to_caller) {
  auto chain = walk_chain(memory, runtime, codes, start.innermost, start.caller, motion, is_known);
  const bool came_by = chain.came_by || leads_to_caller(chain.known);
  if (came_by || start.caller.is_null() || chain.end == StackEnd::too_deep) return chain;
  auto outer = walk_chain(memory, runtime, codes, start.caller, start.caller, motion, is_known);
  return outer.end == StackEnd::complete ? std::move(outer) : std::move(chain);
}

/// The cframe of a thread state, which lies on the C stack of the thread that runs it; nothing where this
/// Python has none.
std::optional<RemoteAddress> place_of_cframe(RemoteMemory& memory, const Layout& layout,
                                             RemoteAddress thread_state) {
  const auto cframe = layout.thread.cframe;
  if (!cframe.exists()) return std::nullopt;
  return pointer_at(memory, thread_state + cframe.offset).value_or(RemoteAddress{});
}

FrameId mark(StackTable& stacks, std::string_view text) {
  return stacks.intern(Frame{FrameKind::mark, stacks.intern(text), stacks.intern(""), 0});
}

}  // namespace

RawStack walk_frames(RemoteMemory& memory, const PythonRuntime& runtime, CodeCache& codes,
                     RemoteAddress thread_state) {
  const auto start = start_of(memory, *runtime.layout, thread_state);
  auto stack =
      as_stack(walk_from(memory, runtime, codes, start, Motion::none, nothing_is_known, nothing_is_known));
  if (const auto cframe = place_of_cframe(memory, *runtime.layout, thread_state)) stack.c_stack = *cframe;
  return stack;
}

void ThreadStack::walk(RemoteMemory& memory, const PythonRuntime& runtime, CodeCache& codes,
                       RemoteAddress thread_state, Motion motion) {
  const auto& layout = *runtime.layout;
  if (generation_ != codes.generation()) truncate(0, layout);
  generation_ = codes.generation();
  truncate(count_unchanged(memory, layout), layout);
  const auto start = start_of(memory, layout, thread_state);
  const auto chain = walk_from(
      memory, runtime, codes, start, motion, [&](RemoteAddress at) { return find(at) > 0; },
      [&](RemoteAddress known) {
        const auto inner = links_.begin() + static_cast<std::ptrdiff_t>(find(known));
        return std::any_of(links_.begin(), inner,
                           [&](const Link& link) { return link.address == start.caller.value; });
      });
  if (motion == Motion::possible && (chain.end == StackEnd::unreadable || has_cycle(chain))) {
    end_ = StackEnd::torn;
    return;
  }
  truncate(chain.known.is_null() ? 0 : find(chain.known), layout);
  const bool is_too_deep = frames_.size() + chain.frame_count > most_frames;
  if (!links_.empty() && (is_too_deep || !are_codes_same(memory, codes))) {
    truncate(0, layout);
    return walk(memory, runtime, codes, thread_state, motion);
  }
  end_ = chain.end;
  // NOLINTNEXTLINE(modernize-loop-convert): ranges are beyond clang 14
  for (auto link = chain.links.rbegin(); link != chain.links.rend(); ++link) {
    if (link->frame.code != nullptr) frames_.push_back(link->frame);
    append({link->address.value, frames_.size(), link->is_trampoline}, layout);
  }
  const auto cframe = place_of_cframe(memory, layout, thread_state);
  c_stack_ = cframe ? *cframe : innermost_trampoline();
}

RemoteAddress ThreadStack::innermost_trampoline() const {
  const auto innermost =
      std::find_if(links_.rbegin(), links_.rend(), [](const Link& link) { return link.is_trampoline; });
  return innermost == links_.rend() ? RemoteAddress{} : RemoteAddress{innermost->address};
}

std::size_t ThreadStack::find(RemoteAddress address) const noexcept {
  // From the leaf outward: a stack that has changed mostly has so at its leaf.
  constexpr std::size_t most_searched = 64;
  const auto last = links_.size() - std::min(links_.size(), most_searched);
  for (auto place = links_.size(); place > last; --place) {
    if (links_[place - 1].address == address.value) return place;
  }
  return 0;
}

std::size_t ThreadStack::count_unchanged(RemoteMemory& memory, const Layout& layout) const {
  // What has no root proves nothing of its links.
  if (end_ != StackEnd::complete && end_ != StackEnd::torn) return 0;
  const auto size = layout.frame.size;
  std::size_t count = 0;
  for (const auto& piece : pieces_) {
    const auto whole = piece.end - piece.begin;
    const auto unchanged = memory.count_unchanged({piece.begin}, whole);
    if (unchanged == whole) {
      count = piece.link_count;
      continue;
    }
    while (links_[count].address + size <= piece.begin + unchanged) ++count;
    break;
  }
  return count;
}

bool ThreadStack::are_codes_same(RemoteMemory& memory, CodeCache& codes) const {
  return std::all_of(frames_.begin(), frames_.end(),
                     [&](const RawFrame& frame) { return codes.is_same(memory, *frame.code); });
}

void ThreadStack::truncate(std::size_t link_count, const Layout& layout) {
  links_.resize(link_count);
  frames_.resize(link_count == 0 ? 0 : links_.back().frame_count);
  ids_.resize(std::min(ids_.size(), frames_.size()));
  while (!pieces_.empty() && pieces_.size() > 1 && pieces_[pieces_.size() - 2].link_count >= link_count)
    pieces_.pop_back();
  if (link_count == 0) pieces_.clear();
  if (pieces_.empty()) return;
  pieces_.back().link_count = link_count;
  pieces_.back().end = links_.back().address + layout.frame.size;
}

void ThreadStack::append(const Link& link, const Layout& layout) {
  constexpr std::uint64_t most_bytes_between = 1024;
  links_.push_back(link);
  const auto size = layout.frame.size;
  const bool is_close = !pieces_.empty() && link.address >= pieces_.back().end &&
                        link.address - pieces_.back().end <= most_bytes_between;
  if (!is_close) pieces_.push_back({link.address, 0, 0});
  pieces_.back().end = link.address + size;
  pieces_.back().link_count = links_.size();
}

StackId ThreadStack::decode(const Layout& layout, StackTable& stacks) {
  if (end_ == StackEnd::too_deep || end_ == StackEnd::unreadable) {
    const RawStack stack{{frames_.rbegin(), frames_.rend()}, end_, {}};
    return decode_stack(stack, layout, stacks);
  }
  auto id = ids_.empty() ? StackId::empty : ids_.back();
  for (auto i = ids_.size(); i < frames_.size(); ++i) {
    id = stacks.push(id, frames_[i].code->frame_at(frames_[i].instruction, layout, stacks));
    ids_.push_back(id);
  }
  if (end_ == StackEnd::torn) id = stacks.push(id, mark(stacks, "<torn>"));
  return id;
}

StackId decode_stack(const RawStack& stack, const Layout& layout, StackTable& stacks) {
  auto id = StackId::empty;
  switch (stack.end) {
    case StackEnd::complete:
    case StackEnd::torn:
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
    id = stacks.push(id, frame->code != nullptr
                             ? frame->code->frame_at(frame->instruction, layout, stacks)
                             : mark(stacks, fmt::format("<interpreter {}>", frame->instruction)));
  }
  if (stack.end == StackEnd::torn) id = stacks.push(id, mark(stacks, "<torn>"));
  return id;
}

RawStack join_stacks(std::vector<InterpreterStack> parts) {
  const auto place = [](const InterpreterStack& part) {
    // Without a trace on the C stack: an interpreter is entered from one that was there before it.
    return part.stack.c_stack.is_null() ? ~part.interpreter : part.stack.c_stack.value;
  };
  std::stable_sort(parts.begin(), parts.end(),
                   [&](const auto& a, const auto& b) { return place(a) < place(b); });
  RawStack joined;
  for (auto& [interpreter, stack] : parts) {
    if (stack.end != StackEnd::complete) joined.end = stack.end;
    if (stack.frames.empty()) continue;
    joined.frames.insert(joined.frames.end(), stack.frames.begin(), stack.frames.end());
    joined.frames.push_back({{}, nullptr, interpreter});
  }
  return joined;
}

StackId unreadable_stack(StackTable& stacks) {
  return stacks.push(StackId::empty, mark(stacks, "<unreadable>"));
}

}  // namespace sampler
