#include "moving_stack.h"

#include <algorithm>
#include <array>

#include "data_stack.h"

namespace sampler {
namespace {

constexpr std::uint64_t chunk_size = 16384;  // _PY_DATA_STACK_CHUNK_SIZE
constexpr std::uint64_t page_size = 4096;

/// A frame of the program, not one that CPython puts between.
bool is_programs(const ChainLink& link) {
  return link.frame.code != nullptr;
}

/// The word of the frame's locals and value stack.
RemoteAddress slot(const Layout& layout, const ChainLink& link, std::uint64_t index) {
  return link.address + (layout.frame.locals.offset + index * sizeof(RemoteAddress));
}

/// Where the frame ends on the data stack, and the next begins.
RemoteAddress end_of(const Layout& layout, const ChainLink& link) {
  return slot(layout, link, link.frame.code->frame_words());
}

bool has_started(const ChainLink& link) {
  // The first instruction of a code object calls nothing.
  return link.frame.instruction > link.frame.code->bytecode().value;
}

/// Whether the frame says of itself that it is in no call of Python; false where nothing tells.
bool runs_itself(const Layout& layout, const ChainLink& link) noexcept {
  const auto& frame = layout.frame;
  if (!is_programs(link) || (!frame.stack_top.exists() && !frame.return_offset.exists())) return false;
  return (frame.stack_top.exists() && link.fields.stack_top < 0) ||
         (frame.return_offset.exists() && link.fields.return_offset == 0) || !has_started(link);
}

/// The end of the value stack of a frame that calls; null where that lies outside of the frame.
RemoteAddress stack_end(const Layout& layout, const ChainLink& caller) {
  const auto begin = slot(layout, caller, 0);
  const auto end = layout.frame.stack_top.exists()
                       ? slot(layout, caller, static_cast<std::uint64_t>(caller.fields.stack_top))
                       : caller.fields.stack_pointer;
  const auto most = caller.frame.code->frame_words() * sizeof(RemoteAddress);
  return end.value - begin.value <= most ? end : RemoteAddress{};
}

/// Whether a frame that lies on the data stack can be the next after one that does.
bool may_follow(const Layout& layout, const ChainLink& caller, const ChainLink& callee) {
  if (callee.address == end_of(layout, caller)) return true;
  const bool is_in_chunk =
      callee.address > caller.address && callee.address.value - caller.address.value < chunk_size;
  // A chunk is a mapping of its own.
  return !is_in_chunk || callee.address.value % page_size == chunk_head;
}

/// Whether the callee's function is the last word of the instruction's inline cache: there 3.12 has the
/// getter of a property, whose object it clears from the stack.
bool is_cached_getter(RemoteMemory& memory, const ChainLink& caller, const ChainLink& callee) {
  constexpr std::uint64_t before_last_unit = 6;
  const auto cached = read_as<RemoteAddress>(memory, {caller.fields.instruction - before_last_unit});
  return cached && *cached == callee.fields.function;
}

/// Whether the callee's first local is the object, or a cell with it: a function inside of the callee uses
/// it.
bool is_method_of(RemoteMemory& memory, const Layout& layout, const ChainLink& callee, RemoteAddress object) {
  if (object.is_null()) return false;
  const auto local = callee.fields.first_local.without_tag(layout.traits.executable_tag_mask);
  if (local == object) return true;
  const auto content =
      read_as<RemoteAddress>(memory, local + (layout.object.type.offset + sizeof(RemoteAddress)));
  return content && *content == object;
}

/// Whether the callee's function is what its caller has where the call took its arguments from. A property or
/// a subscript has its object there.
bool is_called_by(RemoteMemory& memory, const Layout& layout, const ChainLink& caller,
                  const ChainLink& callee) {
  const auto end = stack_end(layout, caller);
  if (end.is_null()) return false;
  const auto words = read_as<std::array<RemoteAddress, 2>>(memory, end);
  if (!words) return false;
  const auto mask = layout.traits.executable_tag_mask;
  const auto lower = words->front().without_tag(mask);
  const auto upper = words->back().without_tag(mask);
  // Up to 3.12 a null may lie below the function.
  return lower == callee.fields.function || upper == callee.fields.function ||
         is_method_of(memory, layout, callee, lower) || is_cached_getter(memory, caller, callee);
}

/// Whether the generator that the callee's frame lies in is at the end of its caller's value stack: 3.15 has
/// a word above it.
bool is_resumed_by(RemoteMemory& memory, const Layout& layout, const ChainLink& caller,
                   const ChainLink& callee) {
  constexpr std::uint64_t most_before_frame = 256;  // of a generator object; 72 to 88
  const auto end = stack_end(layout, caller);
  if (end.is_null()) return false;
  const auto words = read_as<std::array<RemoteAddress, 2>>(memory, {end.value - 2 * sizeof(RemoteAddress)});
  return words && std::any_of(words->begin(), words->end(), [&](RemoteAddress word) {
           const auto object = word.without_tag(layout.traits.executable_tag_mask);
           return callee.address.value - object.value < most_before_frame;
         });
}

std::optional<ChainLink> link_of(RemoteMemory& memory, const PythonRuntime& runtime, CodeCache& codes,
                                 RemoteAddress address, RemoteAddress caller) {
  const auto& layout = *runtime.layout;
  const auto* const bytes = memory.peek(address, layout.frame.size);
  if (bytes == nullptr) return std::nullopt;
  const auto fields = frame_fields(bytes, layout);
  const bool is_callee = fields.previous == caller && !fields.executable.is_null() &&
                         fields.owner == owned_by_thread && fields.is_entry == 0 &&
                         !has_returned(layout, fields);
  auto* const code = is_callee ? codes.find_known(fields.executable) : nullptr;
  // The frame that makes a generator is left as it is: the generator has a copy of it (3.14 on).
  if (code == nullptr || code->is_internal() || code->makes_generator()) return std::nullopt;
  const auto instruction = own_instruction(memory, layout, *code, fields);
  if (!instruction || !code->contains(*instruction)) return std::nullopt;
  return ChainLink{address, {address, code, *instruction}, false, fields};
}

}  // namespace

bool has_returned(const Layout& layout, const FrameFields& frame) noexcept {
  if (layout.frame.references.exists() && frame.references <= 0) return true;
  return layout.frame.state.exists() && frame.state != static_cast<std::int8_t>(layout.frame.running_state);
}

Tie tie_of(RemoteMemory& memory, const Layout& layout, const ChainLink& caller, const ChainLink& callee) {
  const auto& frame = layout.frame;
  if (!is_programs(caller) || !is_programs(callee) || callee.fields.is_entry != 0) {
    return Tie::calls;  // C lies between, or a frame of CPython's own
  }
  if (runs_itself(layout, caller)) return Tie::runs_itself;
  const bool has_value_stack = frame.stack_top.exists() || frame.stack_pointer.exists();
  if (has_value_stack && callee.fields.owner == owned_by_generator) {
    return is_resumed_by(memory, layout, caller, callee) ? Tie::calls : Tie::calls_another;
  }
  if (!has_value_stack) return Tie::calls;
  const bool are_neighbours = caller.fields.owner != owned_by_thread || may_follow(layout, caller, callee);
  return are_neighbours && is_called_by(memory, layout, caller, callee) ? Tie::calls : Tie::calls_another;
}

std::optional<ChainLink> callee_on_data_stack(RemoteMemory& memory, const PythonRuntime& runtime,
                                              CodeCache& codes, const ChainLink& caller) {
  const auto& layout = *runtime.layout;
  if (!is_programs(caller) || caller.fields.owner != owned_by_thread ||
      caller.frame.code->frame_words() == 0) {
    return std::nullopt;
  }
  auto callee = link_of(memory, runtime, codes, end_of(layout, caller), caller.address);
  return callee && tie_of(memory, layout, caller, *callee) == Tie::calls ? callee : std::nullopt;
}

std::optional<ChainLink> callee_among(RemoteMemory& memory, const PythonRuntime& runtime, CodeCache& codes,
                                      const ChainLink& caller, std::span<const std::uint64_t> frame_objects) {
  for (const auto address : frame_objects) {
    if (auto callee = link_of(memory, runtime, codes, {address}, caller.address)) return callee;
  }
  return std::nullopt;
}

}  // namespace sampler
