#include "sampler/cpython/c_stack.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

namespace sampler {
namespace {

constexpr std::size_t most_bytes = 1U << 20U;
constexpr std::size_t page = 4096;
constexpr std::size_t largest_step = 4 * page;
constexpr std::size_t word_size = sizeof(std::uint64_t);

/// The first word at or behind `from` that is this address; the number of words where there is none.
std::size_t find_word(std::span<const std::byte> bytes, std::size_t from, RemoteAddress address) {
  const auto count = bytes.size() / word_size;
  for (auto i = from; i < count; ++i) {
    if (std::memcmp(bytes.data() + i * word_size, &address.value, word_size) == 0) return i;
  }
  return count;
}

}  // namespace

CStackPlace CStackBounds::place(RemoteAddress address) const noexcept {
  if (!own) return may_hold(address) ? CStackPlace::its : CStackPlace::nobodys;
  const bool stands_on_own = own->contains(pointer);
  if (own->contains(address)) {
    return stands_on_own && address < pointer ? CStackPlace::nobodys : CStackPlace::its;
  }
  // It computes on another stack, a coroutine's say.
  return !stands_on_own && may_hold(address) ? CStackPlace::its : CStackPlace::untold;
}

std::optional<AddressRange> find_c_stack(RemoteMemory& memory, RemoteAddress pthread,
                                         const std::optional<AddressRange>& first) {
  // Where in the struct its stack is told differs from glibc to glibc: two words, the lowest address and the
  // size, whose sum is the end of the memory that the struct itself is at the end of.
  constexpr std::size_t most_words = 256;  // less than any glibc's struct has
  constexpr std::uint64_t largest_struct = 16384;
  constexpr std::uint64_t highest_tid = 1U << 22U;
  std::array<std::uint64_t, most_words> words{};
  if (!memory.read(pthread, std::as_writable_bytes(std::span{words}))) return std::nullopt;
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    const auto begin = words[i];
    const auto to_end = words[i + 1] - (pthread.value - begin);
    // The thread's number and the pointer behind it have such a sum at times.
    const bool may_be_address = begin > highest_tid && begin < pthread.value;
    if (!may_be_address || words[i + 1] < pthread.value - begin) continue;
    if (to_end >= sizeof words && to_end <= largest_struct) return AddressRange{{begin}, pthread};
  }
  return first;
}

std::vector<std::byte> copy_whole_c_stack(RemoteMemory& memory, const AddressRange& stack) {
  auto begin = stack.end;
  const auto size = std::min<std::uint64_t>(stack.end.value - stack.begin.value, most_bytes);
  std::vector<std::byte> bytes(size);
  while (begin.value > stack.end.value - size) {
    const auto step = std::min<std::uint64_t>(begin.value - (stack.end.value - size), largest_step);
    const RemoteAddress next{begin.value - step};
    const auto place = size - (stack.end.value - next.value);
    if (!memory.read(next, std::span{bytes}.subspan(place, step))) break;
    begin = next;
  }
  bytes.erase(bytes.begin(), bytes.end() - static_cast<std::ptrdiff_t>(stack.end.value - begin.value));
  return bytes;
}

std::vector<std::byte> copy_c_stack(RemoteMemory& memory, RemoteAddress stack_pointer, RemoteAddress end) {
  std::vector<std::byte> bytes;
  const bool is_bounded = end > stack_pointer && end.value - stack_pointer.value <= most_bytes;
  const auto wanted = is_bounded ? end.value - stack_pointer.value : most_bytes;
  auto step = largest_step;
  while (bytes.size() < wanted) {
    const auto from = bytes.size();
    const auto to_boundary = step - (stack_pointer.value + from) % step;
    const auto size = std::min<std::size_t>(to_boundary, wanted - from);
    bytes.resize(from + size);
    if (memory.read(stack_pointer + from, std::span{bytes}.subspan(from))) continue;
    bytes.resize(from);
    // Beyond the stack's last page nothing can be read.
    if (step == page) break;
    step = page;
  }
  return bytes;
}

bool runs_on(std::span<const std::byte> c_stack, RemoteAddress thread_state, const RawStack& stack) {
  const auto count = c_stack.size() / word_size;
  if (stack.frames.empty() || find_word(c_stack, 0, thread_state) == count) return false;
  const auto innermost = find_word(c_stack, 0, stack.frames.front().address);
  // One word alone may be left over from an earlier call.
  if (stack.frames.size() == 1) return innermost != count;
  std::size_t at = innermost == count ? 0 : innermost;
  for (std::size_t i = 1; i < stack.frames.size(); ++i) {
    at = find_word(c_stack, at, stack.frames[i].address);
    if (at == count) return false;
  }
  return true;
}

}  // namespace sampler
