#include "sampler/cpython/c_stack.h"

#include <pthread.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "catch.h"
#include "fake_python.h"
#include "sampler/memory/process_memory.h"

namespace sampler {
namespace {

constexpr RemoteAddress state{0x5000'0000'1000};
constexpr RemoteAddress inner{0x5000'0000'2000};
constexpr RemoteAddress middle{0x5000'0000'3000};
constexpr RemoteAddress outer{0x5000'0000'4000};

std::vector<std::byte> bytes_of(const std::vector<RemoteAddress>& words) {
  std::vector<std::byte> bytes(words.size() * 8);
  for (std::size_t i = 0; i < words.size(); ++i) std::memcpy(bytes.data() + i * 8, &words[i].value, 8);
  return bytes;
}

RawStack stack_of(const std::vector<RemoteAddress>& frames) {
  RawStack stack;
  for (const auto frame : frames) stack.frames.push_back({frame, nullptr, 0});
  return stack;
}

}  // namespace

TEST_CASE("a C stack with the state and its frames from the innermost out runs them", "[cpython]") {
  const auto stack = stack_of({inner, middle, outer});
  CHECK(runs_on(bytes_of({inner, state, middle, {7}, state, outer, {}}), state, stack));
  // The innermost may be in a register.
  CHECK(runs_on(bytes_of({state, middle, outer}), state, stack));
}

TEST_CASE("what is left over on a C stack runs nothing", "[cpython]") {
  const auto stack = stack_of({inner, middle, outer});
  CHECK_FALSE(runs_on(bytes_of({state, inner, outer}), state, stack));
  CHECK_FALSE(runs_on(bytes_of({state, outer, middle, inner}), state, stack));
  CHECK_FALSE(runs_on(bytes_of({inner, middle, outer}), state, stack));
  CHECK_FALSE(runs_on({}, state, stack));
  CHECK_FALSE(runs_on(bytes_of({state, inner, middle, outer}), state, RawStack{}));
}

TEST_CASE("a stack of one frame needs both words", "[cpython]") {
  CHECK(runs_on(bytes_of({inner, {}, state}), state, stack_of({inner})));
  CHECK_FALSE(runs_on(bytes_of({state}), state, stack_of({inner})));
  CHECK_FALSE(runs_on(bytes_of({inner}), state, stack_of({inner})));
}

TEST_CASE("a place on the thread's own stack is its, wherever it stands", "[cpython]") {
  const AddressRange own{{0x7000}, {0x9000}};
  CHECK(CStackBounds{{0x8000}, {0x9000}, own}.place({0x8800}) == CStackPlace::its);
  CHECK(CStackBounds{{0x8000}, {0x9000}, own}.place({0x7800}) == CStackPlace::nobodys);
  // On a coroutine's stack, below or above its own.
  CHECK(CStackBounds{{0x2000}, {0x9000}, own}.place({0x7800}) == CStackPlace::its);
  CHECK(CStackBounds{{0xA000}, {0x9000}, own}.place({0x7800}) == CStackPlace::its);
}

TEST_CASE("a place on another stack is its while it stands on that, else untold", "[cpython]") {
  const AddressRange own{{0x7000}, {0x9000}};
  CHECK(CStackBounds{{0x2000}, {0x9000}, own}.place({0x2800}) == CStackPlace::its);
  CHECK(CStackBounds{{0x3000}, {0x9000}, own}.place({0x2800}) == CStackPlace::untold);
  CHECK(CStackBounds{{0x8000}, {0x9000}, own}.place({0x2800}) == CStackPlace::untold);
  // The first thread's stack lies above its struct pthread.
  CHECK(CStackBounds{{0x8000}, {0x6000}, own}.place({0x2800}) == CStackPlace::untold);
}

TEST_CASE("where a thread's stack is not known, a place may be its or not", "[cpython]") {
  CHECK(CStackBounds{{0x8000}, {0x9000}}.place({0x8800}) == CStackPlace::its);
  CHECK(CStackBounds{{0x8000}, {0x9000}}.place({0xA000}) == CStackPlace::nobodys);
  CHECK(CStackBounds{{0x8000}, {0x9000}}.place({0x7000}) == CStackPlace::nobodys);
}

TEST_CASE("a struct pthread tells the stack that it is at the end of", "[cpython]") {
  const AddressRange first{{0x10}, {0x20}};
  FakeMemory memory;
  const auto stack = memory.add(65536);
  const auto pthread = stack + (65536 - 4096);
  CHECK(find_c_stack(memory, pthread, first)->begin == first.begin);
  CHECK_FALSE(find_c_stack(memory, pthread, std::nullopt));
  // The thread's number, and a pointer into the struct.
  memory.put(pthread + 720, std::uint64_t{4096});
  memory.put(pthread + 728, pthread + 736);
  CHECK(find_c_stack(memory, pthread, first)->begin == first.begin);
  memory.put(pthread + 1680, stack);
  memory.put(pthread + 1688, std::uint64_t{65536});
  CHECK(find_c_stack(memory, pthread, first)->begin == stack);
  CHECK(find_c_stack(memory, pthread, first)->end == pthread);
  CHECK_FALSE(find_c_stack(memory, {0x10}, first));
}

TEST_CASE("our own threads' stacks are found", "[cpython]") {
  ProcessMemory memory{Process{Pid{::getpid()}}};
  std::optional<AddressRange> stack;
  RemoteAddress local;
  std::thread{[&] {
    const int here = 0;
    local = RemoteAddress{reinterpret_cast<std::uint64_t>(&here)};  // NOLINT: an address as a number
    stack = find_c_stack(memory, RemoteAddress{static_cast<std::uint64_t>(::pthread_self())}, std::nullopt);
  }}.join();
  REQUIRE(stack);
  CHECK(stack->contains(local));
  CHECK_FALSE(
      find_c_stack(memory, RemoteAddress{static_cast<std::uint64_t>(::pthread_self())}, std::nullopt));
}

TEST_CASE("a whole C stack is copied from its end down to where memory ends", "[cpython]") {
  FakeMemory memory;
  const auto piece = memory.add(65536);
  memory.put(piece + 65528, std::uint64_t{0xABCD});
  const auto bytes = copy_whole_c_stack(memory, {piece, piece + 65536});
  REQUIRE(bytes.size() == 65536);
  CHECK(std::to_integer<int>(bytes[65528]) == 0xCD);
  const auto part = copy_whole_c_stack(memory, {RemoteAddress{piece.value - 100000}, piece + 65536});
  CHECK(part.size() == 65536);
  CHECK(copy_whole_c_stack(memory, {{0x10}, {0x5000}}).empty());
}

TEST_CASE("a C stack is copied to the last page that can be read", "[cpython]") {
  for (std::uint64_t pages = 0; pages < 4; ++pages) {
    FakeMemory probe;
    FakeMemory memory;
    const auto start = probe.add(8);
    const auto size = (start.value + 150000) / 16384 * 16384 + pages * 4096 - start.value;
    REQUIRE(memory.add(size) == start);
    CHECK(copy_c_stack(memory, start, {}).size() == size);
  }
}

TEST_CASE("a C stack is copied up to its end, or to where memory ends", "[cpython]") {
  FakeMemory memory;
  const auto piece = memory.add(65536);
  const auto middle_of_piece = piece + 1000;
  CHECK(copy_c_stack(memory, middle_of_piece, piece + 3000).size() == 2000);
  const auto whole = copy_c_stack(memory, middle_of_piece, {}).size();
  CHECK(whole > 65536 - 1000 - 16384);
  CHECK(whole <= 65536 - 1000);
  CHECK(copy_c_stack(memory, {0x10}, {}).empty());
}

TEST_CASE("what is copied of a C stack is what lies there", "[cpython]") {
  FakeMemory memory;
  const auto piece = memory.add(65536);
  for (std::uint64_t i = 0; i < 65536; i += 8) memory.put(piece + i, i);
  const auto bytes = copy_c_stack(memory, piece + 1000, piece + 41000);
  REQUIRE(bytes.size() == 40000);
  for (std::uint64_t i = 0; i < bytes.size(); i += 8) {
    REQUIRE(std::memcmp(bytes.data() + i, std::array{i + 1000}.data(), 8) == 0);
  }
}

TEST_CASE("a megabyte of a C stack is copied at most", "[cpython]") {
  constexpr std::size_t megabyte = 1U << 20U;
  FakeMemory memory;
  const auto piece = memory.add(3 * megabyte);
  CHECK(copy_c_stack(memory, piece, {}).size() == megabyte);
  CHECK(copy_c_stack(memory, piece, piece + 2 * megabyte).size() == megabyte);
  CHECK(copy_c_stack(memory, piece, piece + megabyte).size() == megabyte);
  CHECK(copy_c_stack(memory, piece, piece + (megabyte - 8)).size() == megabyte - 8);
}

TEST_CASE("an end below the stack pointer is none", "[cpython]") {
  constexpr std::size_t megabyte = 1U << 20U;
  FakeMemory memory;
  const auto piece = memory.add(2 * megabyte);
  CHECK(copy_c_stack(memory, piece + 4096, piece).size() == megabyte);
  CHECK(copy_c_stack(memory, piece, piece).size() == megabyte);
}

TEST_CASE("each frame is further out on the C stack than the one it called", "[cpython]") {
  const auto stack = stack_of({inner, middle, outer});
  CHECK(runs_on(bytes_of({inner, state, middle, outer}), state, stack));
  CHECK_FALSE(runs_on(bytes_of({inner, state, outer, middle}), state, stack));
  CHECK_FALSE(runs_on(bytes_of({middle, state, inner, outer}), state, stack));
  CHECK_FALSE(runs_on(bytes_of({inner, state, middle}), state, stack));
}

TEST_CASE("a word that is no address of its own is not found", "[cpython]") {
  // Across two words, and in the odd bytes at the end.
  auto bytes = bytes_of({{}, {}, {}});
  std::memcpy(bytes.data() + 4, &inner.value, 8);
  std::memcpy(bytes.data() + 16, &state.value, 8);
  CHECK_FALSE(runs_on(bytes, state, stack_of({inner})));
  std::memcpy(bytes.data(), &inner.value, 8);
  CHECK(runs_on(bytes, state, stack_of({inner})));
  CHECK_FALSE(runs_on(std::span{bytes}.first(23), state, stack_of({inner})));
}

TEST_CASE("a thread's C stack reaches from its stack pointer to its struct pthread", "[cpython]") {
  const CStackBounds of_worker{{0x5000}, {0x9000}};
  CHECK(of_worker.may_hold({0x5000}));
  CHECK(of_worker.may_hold({0x8fff}));
  CHECK_FALSE(of_worker.may_hold({0x4fff}));
  CHECK_FALSE(of_worker.may_hold({0x9000}));
  // The first thread's struct pthread is below its stack.
  const CStackBounds of_first{{0x5000}, {0x3000}};
  CHECK(of_first.may_hold({0x5000}));
  CHECK(of_first.may_hold({0x9000}));
  CHECK_FALSE(of_first.may_hold({0x4000}));
}

}  // namespace sampler
