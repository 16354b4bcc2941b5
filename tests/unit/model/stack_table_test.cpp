#include "sampler/model/stack_table.h"

#include <string>

#include "catch.h"

namespace sampler {
namespace {

FrameId frame(StackTable& stacks, std::string_view name, std::uint32_t line = 1) {
  return stacks.intern(Frame{.name = stacks.intern(name), .file = stacks.intern("a.py"), .line = line});
}

}  // namespace

TEST_CASE("equal texts are held once and different ones apart", "[model]") {
  StackTable stacks;
  const auto one = stacks.intern("main");
  const auto again = stacks.intern(std::string{"main"});
  const auto other = stacks.intern("other");
  CHECK(one == again);
  CHECK(one != other);
  CHECK(stacks.text(one) == "main");
  CHECK(stacks.text(other) == "other");
}

TEST_CASE("texts stay where they are when many follow", "[model]") {
  StackTable stacks;
  const auto first = stacks.text(stacks.intern("first"));
  for (int i = 0; i < 10'000; ++i) (void)stacks.intern(std::to_string(i));
  CHECK(first == "first");
  CHECK(stacks.text(stacks.intern("first")).data() == first.data());
}

TEST_CASE("the empty text and a text with a NUL are texts", "[model]") {
  StackTable stacks;
  const std::string with_nul{"a\0b", 3};
  CHECK(stacks.text(stacks.intern("")).empty());
  CHECK(stacks.text(stacks.intern(with_nul)) == with_nul);
  CHECK(stacks.intern(with_nul) != stacks.intern("a"));
}

TEST_CASE("frames that differ in anything are different frames", "[model]") {
  StackTable stacks;
  const auto a = stacks.intern("a");
  const auto b = stacks.intern("b");
  const auto id = stacks.intern(Frame{FrameKind::python, a, b, 1});
  CHECK(stacks.intern(Frame{FrameKind::python, a, b, 1}) == id);
  CHECK(stacks.intern(Frame{FrameKind::mark, a, b, 1}) != id);
  CHECK(stacks.intern(Frame{FrameKind::python, b, b, 1}) != id);
  CHECK(stacks.intern(Frame{FrameKind::python, a, a, 1}) != id);
  CHECK(stacks.intern(Frame{FrameKind::python, a, b, 2}) != id);
  CHECK(stacks.frame_count() == 5);
  CHECK(stacks.frame(id) == Frame{FrameKind::python, a, b, 1});
}

TEST_CASE("a new table has the empty stack and no frame", "[model]") {
  const StackTable stacks;
  CHECK(stacks.frame_count() == 0);
  CHECK(stacks.stack_count() == 1);
  CHECK(stacks.frames_of(StackId::empty).empty());
}

TEST_CASE("the frames of a stack come root first", "[model]") {
  StackTable stacks;
  const auto main = frame(stacks, "main");
  const auto work = frame(stacks, "work");
  const auto stack = stacks.push(stacks.push(StackId::empty, main), work);
  CHECK(stacks.frames_of(stack) == std::vector{main, work});
  CHECK(stacks.leaf(stack) == work);
  CHECK(stacks.frames_of(stacks.callers(stack)) == std::vector{main});
}

TEST_CASE("stacks that share callers share their nodes", "[model]") {
  StackTable stacks;
  const auto main = stacks.push(StackId::empty, frame(stacks, "main"));
  const auto left = stacks.push(main, frame(stacks, "left"));
  const auto right = stacks.push(main, frame(stacks, "right"));
  CHECK(left != right);
  CHECK(stacks.callers(left) == stacks.callers(right));
  CHECK(stacks.stack_count() == 4);
}

TEST_CASE("the same stack pushed again is the same stack", "[model]") {
  StackTable stacks;
  const auto main = frame(stacks, "main");
  const auto work = frame(stacks, "work");
  const auto stack = stacks.push(stacks.push(StackId::empty, main), work);
  CHECK(stacks.push(stacks.push(StackId::empty, main), work) == stack);
  CHECK(stacks.stack_count() == 3);
}

TEST_CASE("a recursion's stacks are told apart by their depth", "[model]") {
  StackTable stacks;
  const auto work = frame(stacks, "work");
  const auto once = stacks.push(StackId::empty, work);
  const auto twice = stacks.push(once, work);
  CHECK(once != twice);
  CHECK(stacks.frames_of(twice) == std::vector{work, work});
}

TEST_CASE("two stacks of the same frames in another order are two stacks", "[model]") {
  StackTable stacks;
  const auto a = frame(stacks, "a");
  const auto b = frame(stacks, "b");
  CHECK(stacks.push(stacks.push(StackId::empty, a), b) != stacks.push(stacks.push(StackId::empty, b), a));
}

}  // namespace sampler
