#include <cstdint>
#include <limits>

#include "catch.h"
#include "walk.h"

namespace sampler {
namespace {

constexpr PythonVersion free_threaded{3, 14, true};

/// One frame of a free-threaded Python, whose code has two entries of four units: lines 10 and 11. A second
/// thread runs a copy of the bytecode.
struct Copied : Walk {
  Copied() : Walk{free_threaded} {
    array = python.add_copies(code, {own, copy, {}, copy});
    set_count(3);  // the last can be read, but is none
  }

  /// The stack where the frame says that it runs the copy of this number, at a place.
  RawStack at(std::int32_t index, RemoteAddress instruction) {
    python.memory.put(frame + python.layout.frame.bytecode_index.offset, index);
    python.memory.put(frame + python.layout.frame.instruction.offset, instruction);
    return from(frame);
  }
  Texts text_at(std::int32_t index, RemoteAddress instruction) { return text(at(index, instruction)); }
  void set_count(std::int64_t count) { python.memory.put(array, count); }

  RemoteAddress code = python.add_code(
      {.name = "work", .first_line = 10, .line_table = {0xD3, 0, 0, 0xDB, 0, 0}, .units = 8, .version = 77});
  RemoteAddress own{python.instruction(code, 0)};
  RemoteAddress copy = python.memory.add(16);
  RemoteAddress frame = python.add_frame(code, {});
  RemoteAddress array;
};

const Texts first_line{"work:10"};
const Texts second_line{"work:11"};
const Texts unreadable{"<unreadable>"};

}  // namespace

TEST_CASE("a thread of index 0 runs its code's own bytecode", "[cpython]") {
  Copied copied;
  CHECK(copied.text_at(0, copied.own) == first_line);
  CHECK(copied.text_at(0, copied.own + 8) == second_line);
  CHECK(copied.text_at(0, copied.copy + 8) == unreadable);
}

TEST_CASE("a place in a thread's copy is that place in the code's own bytecode", "[cpython]") {
  Copied copied;
  CHECK(copied.text_at(1, copied.copy + 6) == first_line);
  CHECK(copied.text_at(1, copied.copy + 8) == second_line);
  const auto stack = copied.at(1, copied.copy + 8);
  REQUIRE(stack.frames.size() == 1);
  CHECK(stack.frames[0].instruction == (copied.own + 8).value);
  CHECK(copied.at(0, copied.own + 8) == stack);
}

TEST_CASE("a copy reaches from one before its first unit to its last", "[cpython]") {
  Copied copied;
  CHECK(copied.at(1, {copied.copy.value - 2}).end == StackEnd::complete);
  CHECK(copied.at(1, {copied.copy.value - 4}).end == StackEnd::unreadable);
  CHECK(copied.at(1, copied.copy + 14).end == StackEnd::complete);
  CHECK(copied.at(1, copied.copy + 16).end == StackEnd::unreadable);
  CHECK(copied.at(1, copied.own + 8).end == StackEnd::unreadable);
}

TEST_CASE("a thread without a copy runs its code's own bytecode", "[cpython]") {
  Copied copied;
  CHECK(copied.text_at(2, copied.own + 8) == second_line);
  CHECK(copied.text_at(2, copied.copy + 8) == unreadable);
}

TEST_CASE("an index outside the copies is unreadable", "[cpython]") {
  Copied copied;
  for (const std::int32_t index :
       {3, 4, std::numeric_limits<std::int32_t>::max(), -1, std::numeric_limits<std::int32_t>::min()}) {
    CHECK(copied.text_at(index, copied.own) == unreadable);
    CHECK(copied.text_at(index, copied.copy) == unreadable);
  }
  // Before the first entry is the count: 3, as if a copy began there.
  CHECK(copied.text_at(-1, {3 + 8}) == unreadable);
}

TEST_CASE("a count of copies that is none is unreadable", "[cpython]") {
  Copied copied;
  for (const std::int64_t count :
       {std::int64_t{0}, std::int64_t{1}, std::int64_t{-1}, std::numeric_limits<std::int64_t>::min()}) {
    copied.set_count(count);
    CHECK(copied.text_at(1, copied.copy) == unreadable);
  }
}

TEST_CASE("a count of more copies than can be read leads nowhere else", "[cpython]") {
  Copied copied;
  copied.set_count(std::numeric_limits<std::int64_t>::max());
  CHECK(copied.text_at(1, copied.copy + 8) == second_line);
  CHECK(copied.text_at(1'000'000, copied.copy) == unreadable);
  CHECK(copied.text_at(std::numeric_limits<std::int32_t>::max(), copied.copy) == unreadable);
  const auto reads = copied.python.memory.reads;
  CHECK(copied.text_at(std::numeric_limits<std::int32_t>::max(), copied.copy) == unreadable);
  CHECK(copied.python.memory.reads < reads + 20);
}

TEST_CASE("copies that cannot be read are unreadable, but only for who runs one", "[cpython]") {
  Copied copied;
  copied.python.memory.remove(copied.array);
  CHECK(copied.text_at(1, copied.copy) == unreadable);
  CHECK(copied.text_at(0, copied.own) == first_line);
}

TEST_CASE("code that has no copies runs its own bytecode, whatever the index", "[cpython]") {
  Copied copied;
  const auto field = copied.code + copied.python.layout.code.thread_bytecode.offset;
  copied.python.memory.put(field, RemoteAddress{});
  CHECK(copied.text_at(1, copied.own + 8) == second_line);
}

TEST_CASE("copies that grew are seen in the next reading of code that is known", "[cpython]") {
  Copied copied;
  REQUIRE(copied.text_at(3, copied.own) == unreadable);
  const auto third = copied.python.memory.add(16);
  const auto old_array = copied.array;
  copied.python.add_copies(copied.code, {copied.own, copied.copy, {}, third});
  CHECK(copied.text_at(3, third + 8) == second_line);
  copied.python.memory.remove(old_array);
  CHECK(copied.text_at(1, copied.copy + 8) == second_line);
}

TEST_CASE("a Python whose threads share their bytecode has no index", "[cpython]") {
  Walk walk{{3, 14}};
  auto& python = walk.python;
  REQUIRE_FALSE(python.layout.frame.bytecode_index.exists());
  const auto code = python.add_code({.name = "main", .first_line = 3});
  CHECK(walk.text(walk.from(python.add_frame(code, {}, -1))) == Texts{"main:3"});
}

}  // namespace sampler
