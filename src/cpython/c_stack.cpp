#include "sampler/cpython/c_stack.h"

#include <algorithm>
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
