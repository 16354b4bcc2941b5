#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "catch.h"
#include "walk.h"

namespace sampler {
namespace {

/// A Python whose interpreters' parts of one thread's stack are joined.
struct Joined : Walk {
  Joined() : Walk{{3, 14}} {}

  /// One call of an interpreter's, of a function of this name, with a place on the C stack.
  InterpreterStack part(std::uint64_t interpreter, std::string_view name, RemoteAddress c_stack = {}) {
    auto stack = from(python.add_frame(python.add_code({.name = name, .first_line = 1}), {}, -1));
    REQUIRE(stack.frames.size() == 1);
    stack.c_stack = c_stack;
    return {interpreter, std::move(stack)};
  }
  /// What is decoded of the joined parts: the same for every order in which they come.
  Texts text_of(std::vector<InterpreterStack> parts) {
    const auto less = [](const auto& a, const auto& b) { return a.interpreter < b.interpreter; };
    std::sort(parts.begin(), parts.end(), less);
    const auto expected = text(join_stacks(parts));
    while (std::next_permutation(parts.begin(), parts.end(), less))
      CHECK(text(join_stacks(parts)) == expected);
    return expected;
  }
};

InterpreterStack empty_part(std::uint64_t interpreter, StackEnd end = StackEnd::complete,
                            RemoteAddress c_stack = {}) {
  return {interpreter, RawStack{{}, end, c_stack}};
}

constexpr RemoteAddress low{0x7ffc'0000'1000}, middle{0x7ffc'0000'2000}, high{0x7ffc'0000'3000};

}  // namespace

TEST_CASE("the part lowest on the C stack is the inner one, whatever its interpreter", "[cpython]") {
  Joined joined;
  const auto main = joined.part(0, "main", high);
  const auto sub = joined.part(1, "sub", low);
  CHECK(joined.text_of({main, sub}) == Texts{"<interpreter 0>", "main:1", "<interpreter 1>", "sub:1"});
  // The main interpreter may be entered again from another.
  const auto again = joined.part(0, "again", low);
  const auto outer = joined.part(1, "outer", high);
  CHECK(joined.text_of({again, outer}) == Texts{"<interpreter 1>", "outer:1", "<interpreter 0>", "again:1"});
}

TEST_CASE("three parts are joined by their places on the C stack", "[cpython]") {
  Joined joined;
  CHECK(joined.text_of({joined.part(0, "a", middle), joined.part(7, "b", high), joined.part(3, "c", low)}) ==
        Texts{"<interpreter 7>", "b:1", "<interpreter 0>", "a:1", "<interpreter 3>", "c:1"});
}

TEST_CASE("without places on the C stack the newer interpreter is the inner one", "[cpython]") {
  Joined joined;
  CHECK(joined.text_of({joined.part(0, "main"), joined.part(2, "inner"), joined.part(1, "outer")}) ==
        Texts{"<interpreter 0>", "main:1", "<interpreter 1>", "outer:1", "<interpreter 2>", "inner:1"});
}

TEST_CASE("a part without a place on the C stack is outside of those with one", "[cpython]") {
  Joined joined;
  CHECK(joined.text_of({joined.part(0, "main"), joined.part(1, "sub", high)}) ==
        Texts{"<interpreter 0>", "main:1", "<interpreter 1>", "sub:1"});
}

TEST_CASE("a border is outside of its part, and says whose it is", "[cpython]") {
  Joined joined;
  const auto main = joined.part(0, "main", high);
  const auto sub = joined.part(4'000'000'000'000, "sub", low);
  const auto stack = join_stacks({main, sub});
  REQUIRE(stack.frames.size() == 4);
  CHECK(stack.frames[0] == sub.stack.frames[0]);
  CHECK(stack.frames[1] == RawFrame{{}, nullptr, 4'000'000'000'000});
  CHECK(stack.frames[2] == main.stack.frames[0]);
  CHECK(stack.frames[3] == RawFrame{{}, nullptr, 0});
  CHECK(stack.end == StackEnd::complete);
  CHECK(joined.text(stack)[2] == "<interpreter 4000000000000>");
}

TEST_CASE("a border is a mark and no call", "[cpython]") {
  Joined joined;
  auto& stacks = joined.stacks;
  const auto id = decode_stack(join_stacks({joined.part(5, "sub")}), joined.python.layout, stacks);
  const auto frames = stacks.frames_of(id);
  REQUIRE(frames.size() == 2);
  const auto& border = stacks.frame(frames[0]);
  CHECK(border.kind == FrameKind::mark);
  CHECK(stacks.text(border.name) == "<interpreter 5>");
  CHECK(stacks.text(border.file).empty());
  CHECK(border.line == 0);
  CHECK(stacks.frame(frames[1]).kind == FrameKind::python);
}

TEST_CASE("an interpreter that runs nothing has no part of the stack", "[cpython]") {
  Joined joined;
  CHECK(joined.text_of({joined.part(0, "main", high), empty_part(1, StackEnd::complete, low)}) ==
        Texts{"<interpreter 0>", "main:1"});
  CHECK(join_stacks({empty_part(0), empty_part(1)}) == RawStack{});
  CHECK(join_stacks({}) == RawStack{});
}

TEST_CASE("all frames of a part stay together in their order", "[cpython]") {
  Joined joined;
  auto main = joined.part(0, "main", high);
  auto sub = joined.part(1, "sub", low);
  const auto leaf = joined.part(1, "leaf");
  sub.stack.frames.insert(sub.stack.frames.begin(), leaf.stack.frames[0]);
  CHECK(joined.text_of({main, sub}) ==
        Texts{"<interpreter 0>", "main:1", "<interpreter 1>", "sub:1", "leaf:1"});
}

TEST_CASE("a part that is not complete makes the whole not complete", "[cpython]") {
  Joined joined;
  for (const bool is_inner : {false, true}) {
    auto main = joined.part(0, "main", high);
    auto sub = joined.part(1, "sub", low);
    (is_inner ? sub : main).stack.end = StackEnd::unreadable;
    CHECK(join_stacks({main, sub}).end == StackEnd::unreadable);
    CHECK(joined.text_of({main, sub}) ==
          Texts{"<unreadable>", "<interpreter 0>", "main:1", "<interpreter 1>", "sub:1"});
    (is_inner ? sub : main).stack.end = StackEnd::too_deep;
    CHECK(joined.text_of({main, sub}).front() == "<too deep>");
  }
}

TEST_CASE("a part of which nothing could be read still makes the whole not complete", "[cpython]") {
  Joined joined;
  CHECK(joined.text_of({joined.part(0, "main"), empty_part(1, StackEnd::unreadable)}) ==
        Texts{"<unreadable>", "<interpreter 0>", "main:1"});
  CHECK(joined.text_of({empty_part(0, StackEnd::unreadable), empty_part(1)}) == Texts{"<unreadable>"});
}

}  // namespace sampler
