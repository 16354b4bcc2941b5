#include "data_stack.h"

#include <algorithm>

namespace sampler {
namespace {

constexpr std::uint64_t word = sizeof(RemoteAddress);
constexpr std::uint64_t top_index = 2 * word;  // in a chunk

RemoteAddress below(RemoteAddress address, std::uint64_t bytes) {
  return {address.value - bytes};
}

/// Where the last frame of a chunk that is not the newest ends.
std::optional<RemoteAddress> end_of_chunk(RemoteMemory& memory, RemoteAddress chunk) {
  const auto used = read_as<std::uint64_t>(memory, chunk + top_index);
  return used ? std::optional{chunk + (chunk_head + *used * word)} : std::nullopt;
}

/// Where the first frame of a chunk begins.
RemoteAddress first_in_chunk(RemoteMemory& memory, RemoteAddress chunk) {
  const auto begin = chunk + chunk_head;
  return begins_data_stack(memory, begin + word) ? begin + word : begin;
}

/// Where the frame of the data stack ends that begins here, as its code says; null where none does.
RemoteAddress end_of_frame_at(RemoteMemory& memory, const Layout& layout, CodeCache& codes,
                              RemoteAddress begin) {
  const auto fields = read_frame(memory, layout, begin);
  if (!fields) return {};
  const auto* const code = codes.find(memory, fields->executable);
  if (code == nullptr) return {};
  FrameFields on_stack = *fields;
  on_stack.owner = owned_by_thread;
  return end_on_data_stack(layout, on_stack, *code, begin);
}

/// Where the next frame after this end begins: at the end itself, or in the newest chunk.
RemoteAddress next_begin(RemoteMemory& memory, const DataStack& stack, RemoteAddress end) {
  const auto in_chunk = stack.chunk + chunk_head;
  return !stack.chunk.is_null() && follows(memory, end, in_chunk) ? in_chunk : end;
}

}  // namespace

RemoteAddress end_on_data_stack(const Layout& layout, const FrameFields& fields, const CodeObject& code,
                                RemoteAddress address) {
  const bool is_told = layout.frame.locals.exists() && layout.code.local_count.exists();
  if (!is_told || fields.owner != owned_by_thread) return {};
  return address + (layout.frame.locals.offset + code.frame_words() * word);
}

bool follows(RemoteMemory& memory, RemoteAddress end, RemoteAddress begin) {
  if (begin == end) return true;
  const auto chunk = below(begin, chunk_head);
  const auto previous = read_as<RemoteAddress>(memory, chunk);
  if (!previous || previous->is_null()) return false;
  return end_of_chunk(memory, *previous) == end;
}

bool begins_data_stack(RemoteMemory& memory, RemoteAddress begin) {
  const auto previous = read_as<RemoteAddress>(memory, below(begin, chunk_head + word));
  return previous && previous->is_null();
}

std::optional<std::size_t> count_unproven(RemoteMemory& memory, const WalkedChain& chain) {
  RemoteAddress begin;  // of the frame inside of the one looked at
  std::size_t unproven = 0;
  for (std::size_t i = 0; i < chain.links.size(); ++i) {
    const auto& link = chain.links[i];
    if (link.end.is_null()) continue;
    if (!begin.is_null() && !follows(memory, link.end, begin)) unproven = i;
    begin = link.address;
  }
  if (begin.is_null()) return unproven;
  if (chain.known.is_null() && !begins_data_stack(memory, begin)) return std::nullopt;
  if (chain.known_end.is_null() || follows(memory, chain.known_end, begin)) return unproven;
  return chain.links.size();
}

RemoteAddress data_end_of(const WalkedChain& chain) {
  const auto innermost = std::find_if(chain.links.begin(), chain.links.end(),
                                      [](const ChainLink& link) { return !link.end.is_null(); });
  return innermost == chain.links.end() ? chain.known_end : innermost->end;
}

RemoteAddress frame_below(RemoteMemory& memory, const PythonRuntime& runtime, CodeCache& codes,
                          const DataStack& stack, RemoteAddress leaf) {
  constexpr int most_frames_per_chunk = 1024;
  auto chunk = stack.chunk;
  auto end = leaf;
  if (leaf == chunk + chunk_head) {  // its caller is the last of the chunk before
    const auto previous = read_as<RemoteAddress>(memory, chunk);
    const auto its_end = previous ? end_of_chunk(memory, *previous) : std::nullopt;
    if (!its_end) return {};
    chunk = *previous;
    end = *its_end;
  }
  auto next = first_in_chunk(memory, chunk);
  for (int i = 0; i < most_frames_per_chunk && next < end; ++i) {
    const auto frame = next;
    next = end_of_frame_at(memory, *runtime.layout, codes, frame);
    if (next == end) return frame;
    if (next.is_null()) break;
  }
  return {};
}

Top top_of(RemoteMemory& memory, const PythonRuntime& runtime, CodeCache& codes, const DataStack& stack,
           const WalkedChain& chain) {
  if (stack.top.is_null()) return Top::reached;
  auto end = data_end_of(chain);
  if (end.is_null()) {
    if (stack.chunk.is_null()) return Top::reached;
    end = stack.chunk + (chunk_head + word);
    if (!begins_data_stack(memory, end)) return Top::missed;
  }
  if (end == stack.top) return Top::reached;
  const auto begin = next_begin(memory, stack, end);
  if (begin == stack.top) return Top::reached;
  if (end_of_frame_at(memory, *runtime.layout, codes, begin) == stack.top) return Top::one_more;
  constexpr std::uint64_t largest_frame = 64U << 10U;
  return begin < stack.top && stack.top.value - begin.value < largest_frame ? Top::unmade : Top::missed;
}

}  // namespace sampler
