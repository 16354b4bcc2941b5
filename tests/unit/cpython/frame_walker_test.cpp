#include "sampler/cpython/frame_walker.h"

#include <string>

#include "catch.h"
#include "fake_python.h"

namespace sampler {
namespace {

/// A version's Python, its code cache and what a walk of it found, decoded.
class Walk {
 public:
  explicit Walk(PythonVersion version) : python{version} {}

  RawStack from(RemoteAddress innermost_frame) { return of_thread(python.add_thread(innermost_frame)); }
  RawStack of_thread(RemoteAddress thread) {
    codes_.begin_reading();
    return walk_frames(python.memory, python.runtime, codes_, thread);
  }
  /// The frames of a decoded stack, root first: "name:line".
  std::vector<std::string> text(const RawStack& stack) {
    std::vector<std::string> texts;
    for (const auto id : stacks.frames_of(decode_stack(stack, python.layout, stacks))) {
      const auto& frame = stacks.frame(id);
      const std::string name{stacks.text(frame.name)};
      texts.push_back(frame.kind == FrameKind::mark ? name : name + ":" + std::to_string(frame.line));
    }
    return texts;
  }

  FakePython python;
  StackTable stacks;

 private:
  CodeCache codes_{python.runtime};
};

using Texts = std::vector<std::string>;

/// Three frames of 3.12: main calls work calls leaf.
struct Chain : Walk {
  Chain() : Walk{{3, 12}} {}
  RemoteAddress main_code = python.add_code({.name = "main", .first_line = 1});
  RemoteAddress work_code = python.add_code({.name = "work", .first_line = 2});
  RemoteAddress leaf_code = python.add_code({.name = "leaf", .first_line = 3});
  RemoteAddress main = python.add_frame(main_code, {}, -1);
  RemoteAddress work = python.add_frame(work_code, main, -1);
  RemoteAddress leaf = python.add_frame(leaf_code, work, -1);
};

}  // namespace

TEST_CASE("a chain of frame objects is walked from the innermost and decoded from the root", "[cpython]") {
  Walk walk{{3, 9}};
  auto& python = walk.python;
  const auto code = python.add_code({.name = "main", .first_line = 10, .line_table = {4, 1, 4, 1}});
  const auto main = python.add_frame(code, {}, 4);
  const auto leaf = python.add_frame(python.add_code({.name = "leaf", .first_line = 20}), main, 0);
  const auto stack = walk.from(leaf);
  CHECK(stack.end == StackEnd::complete);
  REQUIRE(stack.frames.size() == 2);
  CHECK(stack.frames[0].address == leaf);
  CHECK(stack.frames[1].address == main);
  CHECK(walk.text(stack) == Texts{"main:11", "leaf:20"});
}

TEST_CASE("byte strings name the frames of 2.7", "[cpython]") {
  Walk walk{{2, 7}};
  const auto code = walk.python.add_code({.name = "main", .first_line = 10, .line_table = {2, 200}});
  CHECK(walk.text(walk.from(walk.python.add_frame(code, {}, 2))) == Texts{"main:210"});
}

TEST_CASE("the instruction of 3.10 counts code units", "[cpython]") {
  Walk walk{{3, 10}};
  const auto code = walk.python.add_code({.name = "main", .first_line = 10, .line_table = {4, 0, 4, 1}});
  CHECK(walk.text(walk.from(walk.python.add_frame(code, {}, 1))) == Texts{"main:10"});
  CHECK(walk.text(walk.from(walk.python.add_frame(code, {}, 2))) == Texts{"main:11"});
  CHECK(walk.text(walk.from(walk.python.add_frame(code, {}, -1))) == Texts{"main:10"});
}

TEST_CASE("the instruction of 3.11 points into the code", "[cpython]") {
  Walk walk{{3, 11}};
  // Two entries of four units: on the first line, and on the next.
  const std::vector<int> table{0xD3, 0, 0, 0xDB, 0, 0};
  const auto code = walk.python.add_code({.name = "main", .first_line = 10, .line_table = table});
  CHECK(walk.text(walk.from(walk.python.add_frame(code, {}, 3))) == Texts{"main:10"});
  CHECK(walk.text(walk.from(walk.python.add_frame(code, {}, 4))) == Texts{"main:11"});
  CHECK(walk.text(walk.from(walk.python.add_frame(code, {}, -1))) == Texts{"main:10"});
}

TEST_CASE("a chain of interpreter frames is walked to its root", "[cpython]") {
  Chain chain;
  const auto stack = chain.from(chain.leaf);
  CHECK(stack.end == StackEnd::complete);
  CHECK(chain.text(stack) == Texts{"main:1", "work:2", "leaf:3"});
}

TEST_CASE("trampolines are no frames, wherever they are", "[cpython]") {
  Chain chain;
  const auto root = chain.python.add_trampoline({});
  chain.python.set_previous(chain.main, root);
  chain.python.set_previous(chain.work, chain.python.add_trampoline(chain.main));
  const auto stack = chain.from(chain.python.add_trampoline(chain.leaf));
  CHECK(stack.end == StackEnd::complete);
  CHECK(chain.text(stack) == Texts{"main:1", "work:2", "leaf:3"});
}

TEST_CASE("a tag in the executable is no part of the code's address", "[cpython]") {
  auto layout = layout_of({3, 12});
  layout.traits.executable_tag_mask = 3;
  FakePython python{{3, 12}};
  python.runtime.layout = &layout;
  CodeCache codes{python.runtime};
  const auto code = python.add_code({.name = "main"});
  const auto frame = python.add_frame(code, {});
  python.memory.put(frame + layout.frame.executable.offset, code + 1);
  const auto thread = python.add_thread(frame);
  const auto stack = walk_frames(python.memory, python.runtime, codes, thread);
  CHECK(stack.end == StackEnd::complete);
  CHECK(stack.frames.size() == 1);
}

TEST_CASE("a thread that leads straight to its frame is walked", "[cpython]") {
  auto layout = layout_of({3, 12});
  layout.traits.frame_chain = FrameChain::direct;
  layout.thread.current_frame.offset = layout.thread.cframe.offset;
  FakePython python{{3, 12}};
  python.runtime.layout = &layout;
  CodeCache codes{python.runtime};
  const auto frame = python.add_frame(python.add_code({.name = "main"}), {});
  const auto thread = python.add_thread({});
  python.memory.put(thread + layout.thread.current_frame.offset, frame);
  const auto stack = walk_frames(python.memory, python.runtime, codes, thread);
  CHECK(stack.end == StackEnd::complete);
  CHECK(stack.frames.size() == 1);
}

TEST_CASE("a thread without a frame has an empty stack that is complete", "[cpython]") {
  Walk new_one{{3, 12}};
  Walk old_one{{3, 9}};
  const auto of_new = new_one.from({});
  const auto of_old = old_one.from({});
  CHECK(of_new == RawStack{});
  CHECK(of_old == RawStack{});
  CHECK(decode_stack(of_new, new_one.python.layout, new_one.stacks) == StackId::empty);
}

TEST_CASE("a thread without a cframe has an empty stack that is complete", "[cpython]") {
  Walk walk{{3, 11}};
  const auto thread = walk.python.add_thread({});
  walk.python.memory.put(thread + walk.python.layout.thread.cframe.offset, RemoteAddress{});
  CHECK(walk.of_thread(thread) == RawStack{});
}

TEST_CASE("a thread or cframe that cannot be read is an unreadable stack", "[cpython]") {
  Walk walk{{3, 11}};
  const auto thread = walk.python.add_thread({});
  walk.python.memory.put(thread + walk.python.layout.thread.cframe.offset, RemoteAddress{0x1234});
  CHECK(walk.of_thread(thread).end == StackEnd::unreadable);
  CHECK(walk.of_thread({0x1234}).end == StackEnd::unreadable);
  CHECK(walk.text(walk.of_thread({0x1234})) == Texts{"<unreadable>"});
}

TEST_CASE("an unreadable frame ends the stack but keeps what was read", "[cpython]") {
  Chain chain;
  chain.python.memory.remove(chain.main);
  const auto stack = chain.from(chain.leaf);
  CHECK(stack.end == StackEnd::unreadable);
  CHECK(chain.text(stack) == Texts{"<unreadable>", "work:2", "leaf:3"});
}

TEST_CASE("a frame whose code is no code object ends the stack as unreadable", "[cpython]") {
  Chain chain;
  chain.python.memory.put(chain.work_code + chain.python.layout.object.type.offset, RemoteAddress{0x1234});
  const auto stack = chain.from(chain.leaf);
  CHECK(stack.end == StackEnd::unreadable);
  CHECK(chain.text(stack) == Texts{"<unreadable>", "leaf:3"});
}

TEST_CASE("a frame without code ends the stack as unreadable", "[cpython]") {
  Chain chain;
  chain.python.memory.put(chain.leaf + chain.python.layout.frame.executable.offset, RemoteAddress{});
  const auto stack = chain.from(chain.leaf);
  CHECK(stack.end == StackEnd::unreadable);
  CHECK(stack.frames.empty());
}

TEST_CASE("a frame whose instruction is not in its code ends the stack as unreadable", "[cpython]") {
  Chain chain;
  const auto field = chain.work + chain.python.layout.frame.instruction.offset;
  chain.python.memory.put(field, chain.python.instruction(chain.work_code, 100));
  CHECK(chain.from(chain.leaf).end == StackEnd::unreadable);
  chain.python.memory.put(field, chain.python.instruction(chain.work_code, -2));
  CHECK(chain.from(chain.leaf).end == StackEnd::unreadable);
  chain.python.memory.put(field, chain.python.instruction(chain.work_code, 99));
  CHECK(chain.from(chain.leaf).end == StackEnd::complete);
}

TEST_CASE("a cycle of frames ends as too deep and keeps the innermost", "[cpython]") {
  Chain chain;
  chain.python.set_previous(chain.main, chain.work);
  const auto stack = chain.from(chain.leaf);
  CHECK(stack.end == StackEnd::too_deep);
  CHECK(stack.frames.size() == most_frames);
  CHECK(stack.frames.front().address == chain.leaf);
  CHECK(chain.text(stack).front() == "<too deep>");
  CHECK(chain.text(stack).back() == "leaf:3");
}

TEST_CASE("a stack of exactly the most frames is complete and one more is too deep", "[cpython]") {
  Walk walk{{3, 12}};
  const auto code = walk.python.add_code({});
  RemoteAddress frame;
  for (std::size_t i = 0; i < most_frames; ++i) frame = walk.python.add_frame(code, frame);
  const auto most = walk.from(frame);
  CHECK(most.end == StackEnd::complete);
  CHECK(most.frames.size() == most_frames);
  const auto too_deep = walk.from(walk.python.add_frame(code, frame));
  CHECK(too_deep.end == StackEnd::too_deep);
  CHECK(too_deep.frames.size() == most_frames);
}

TEST_CASE("a cycle of trampolines ends as too deep", "[cpython]") {
  Chain chain;
  const auto trampoline = chain.python.add_trampoline({});
  chain.python.set_previous(trampoline, trampoline);
  chain.python.set_previous(chain.leaf, trampoline);
  const auto stack = chain.from(chain.leaf);
  CHECK(stack.end == StackEnd::too_deep);
  CHECK(stack.frames.size() == 1);
}

TEST_CASE("a stack that is read twice without a change is equal", "[cpython]") {
  Chain chain;
  const auto thread = chain.python.add_thread(chain.leaf);
  const auto first = chain.of_thread(thread);
  CHECK(chain.of_thread(thread) == first);
  chain.python.memory.put(chain.leaf + chain.python.layout.frame.instruction.offset,
                          chain.python.instruction(chain.leaf_code, 5));
  CHECK_FALSE(chain.of_thread(thread) == first);
}

TEST_CASE("a mark is a frame of its own kind without a file", "[cpython]") {
  StackTable stacks;
  const auto id = unreadable_stack(stacks);
  const auto frame = stacks.frame(stacks.leaf(id));
  CHECK(frame.kind == FrameKind::mark);
  CHECK(stacks.text(frame.name) == "<unreadable>");
  CHECK(stacks.text(frame.file).empty());
  CHECK(frame.line == 0);
  CHECK(stacks.callers(id) == StackId::empty);
}

}  // namespace sampler
