#include "sampler/cpython/frame_walker.h"

#include <array>
#include <utility>

#include "catch.h"
#include "walk.h"

namespace sampler {
namespace {

/// An __init__ that main calls, and between them what CPython runs to check what the __init__ returned: a
/// static code object whose file and name are one string.
struct Internal : Walk {
  Internal() : Walk{{3, 13}} {
    const auto name = read_as<RemoteAddress>(python.memory, cleanup_code + python.name_field().offset);
    REQUIRE(name);
    python.memory.put(cleanup_code + python.layout.code.filename.offset, *name);
  }
  /// The interpreter's file is loaded where this one object is.
  void load_image_at(RemoteAddress code) { python.runtime.image = {code, code + python.layout.code.size}; }
  RemoteAddress main_code = python.add_code({.name = "main", .first_line = 1});
  RemoteAddress cleanup_code = python.add_code({.name = "__init__", .first_line = 2, .version = 5});
  RemoteAddress init_code = python.add_code({.name = "__init__", .first_line = 3});
  RemoteAddress main = python.add_frame(main_code, {}, -1);
  RemoteAddress cleanup = python.add_frame(cleanup_code, main, -1);
  RemoteAddress init = python.add_frame(init_code, cleanup, -1);
};

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

TEST_CASE("a thread that leads straight to its frame is walked", "[cpython]") {
  Walk walk{{3, 13}};
  auto& python = walk.python;
  REQUIRE(python.layout.traits.frame_chain == FrameChain::direct);
  const auto main = python.add_frame(python.add_code({.name = "main", .first_line = 1}), {}, -1);
  const auto leaf = python.add_frame(python.add_code({.name = "leaf", .first_line = 2}), main, -1);
  const auto stack = walk.from(leaf);
  CHECK(stack.end == StackEnd::complete);
  CHECK(walk.text(stack) == Texts{"main:1", "leaf:2"});
}

TEST_CASE("a tag in the executable is no part of the code's address", "[cpython]") {
  Walk walk{{3, 14}};
  auto& python = walk.python;
  REQUIRE(python.layout.traits.executable_tag_mask == 3);
  const auto code = python.add_code({.name = "main", .first_line = 7});
  const auto frame = python.add_frame(code, {}, -1);
  for (const std::uint64_t tag : {0U, 1U, 3U}) {
    python.memory.put(frame + python.layout.frame.executable.offset, code + tag);
    CHECK(walk.text(walk.from(frame)) == Texts{"main:7"});
  }
  python.memory.put(frame + python.layout.frame.executable.offset, code + 4);
  CHECK(walk.from(frame).end == StackEnd::unreadable);
}

TEST_CASE("where executables have no tag their lowest bits are address", "[cpython]") {
  Walk walk{{3, 13}};
  auto& python = walk.python;
  const auto code = python.add_code({});
  const auto frame = python.add_frame(code, {});
  python.memory.put(frame + python.layout.frame.executable.offset, code + 1);
  CHECK(walk.from(frame).end == StackEnd::unreadable);
}

TEST_CASE("the owner of a frame tells whether it is a trampoline", "[cpython]") {
  Walk walk{{3, 14}};
  auto& python = walk.python;
  const auto frame = python.add_frame(python.add_code({.name = "main", .first_line = 1}), {}, -1);
  const auto set_owner = [&](std::uint8_t owner) {
    python.memory.put(frame + python.layout.frame.owner.offset, owner);
    return walk.from(frame);
  };
  CHECK(walk.text(set_owner(0)) == Texts{"main:1"});
  CHECK(walk.text(set_owner(2)) == Texts{"main:1"});
  for (const auto owner : std::array<std::uint8_t, 3>{3, 4, 255}) {
    const auto stack = set_owner(owner);
    CHECK(stack.end == StackEnd::complete);
    CHECK(stack.frames.empty());
  }
}

TEST_CASE("a generator without a caller yields at this moment, where C would have a trampoline below it",
          "[cpython]") {
  constexpr std::uint8_t generators = 1;
  Walk with_trampolines{{3, 12}};
  auto& python = with_trampolines.python;
  const auto code = python.add_code({.name = "count", .first_line = 1});
  const auto frame = python.add_frame(code, {}, -1);
  python.memory.put(frame + python.layout.frame.owner.offset, generators);
  CHECK(with_trampolines.from(frame).end == StackEnd::unreadable);
  python.set_previous(frame, python.add_trampoline({}));
  CHECK(with_trampolines.from(frame).end == StackEnd::complete);

  Walk without{{3, 11}};
  const auto other =
      without.python.add_frame(without.python.add_code({.name = "count", .first_line = 1}), {}, -1);
  without.python.memory.put(other + without.python.layout.frame.owner.offset, generators);
  CHECK(without.from(other).end == StackEnd::complete);
}

TEST_CASE("a trampoline's executable is not looked at", "[cpython]") {
  Walk walk{{3, 13}};
  auto& python = walk.python;
  const auto main = python.add_frame(python.add_code({.name = "main", .first_line = 1}), {}, -1);
  const auto trampoline = python.add_trampoline(main);
  python.memory.put(trampoline + python.layout.frame.executable.offset, RemoteAddress{0x1234});
  CHECK(walk.text(walk.from(trampoline)) == Texts{"main:1"});
}

TEST_CASE("a frame whose executable is null or nothing but a tag ends the stack as unreadable", "[cpython]") {
  Walk walk{{3, 14}};
  auto& python = walk.python;
  const auto main = python.add_frame(python.add_code({}), {});
  const auto leaf = python.add_frame(python.add_code({.name = "leaf", .first_line = 2}), main, -1);
  for (const std::uint64_t value : {0U, 1U}) {
    python.memory.put(main + python.layout.frame.executable.offset, RemoteAddress{value});
    const auto stack = walk.from(leaf);
    CHECK(stack.end == StackEnd::unreadable);
    CHECK(walk.text(stack) == Texts{"<unreadable>", "leaf:2"});
  }
}

TEST_CASE("a stack's place on the C stack is its innermost trampoline, where that lies there", "[cpython]") {
  Walk walk{{3, 14}};
  auto& python = walk.python;
  const auto outer = python.add_trampoline({});
  const auto main = python.add_frame(python.add_code({}), outer);
  const auto inner = python.add_trampoline(main);
  const auto leaf = python.add_frame(python.add_code({}), inner);
  CHECK(walk.from(leaf).c_stack == inner);
  CHECK(walk.from(main).c_stack == outer);
  python.set_previous(main, {});
  CHECK(walk.from(main).c_stack.is_null());
}

TEST_CASE("a stack's place on the C stack is its cframe, where there is one", "[cpython]") {
  const auto place = [](PythonVersion version) {
    Walk walk{version};
    const auto thread = walk.python.add_thread(walk.python.add_frame(walk.python.add_code({}), {}));
    const auto cframe = walk.python.layout.thread.cframe;
    const auto expected = cframe.exists()
                              ? *read_as<RemoteAddress>(walk.python.memory, thread + cframe.offset)
                              : RemoteAddress{};
    return std::pair{walk.of_thread(thread).c_stack, expected};
  };
  const auto [in_new, expected] = place({3, 12});
  CHECK_FALSE(expected.is_null());
  CHECK(in_new == expected);
  CHECK(place({3, 9}).first.is_null());
}

TEST_CASE("a stack of frame objects has its place on the C stack by a cframe too", "[cpython]") {
  Walk walk{{3, 10}};
  auto& python = walk.python;
  const auto thread = python.add_thread(python.add_frame(python.add_code({}), {}));
  const RemoteAddress cframe{0x7ffc'0000'1000};
  python.memory.put(thread + python.layout.thread.cframe.offset, cframe);
  const auto stack = walk.of_thread(thread);
  CHECK(stack.end == StackEnd::complete);
  CHECK(stack.c_stack == cframe);
}

TEST_CASE("code of CPython's own in the middle of a stack is no frame of it", "[cpython]") {
  Internal internal;
  internal.load_image_at(internal.cleanup_code);
  const auto stack = internal.from(internal.init);
  CHECK(stack.end == StackEnd::complete);
  CHECK(internal.text(stack) == Texts{"main:1", "__init__:3"});
  // It stays so where the code is known already.
  CHECK(internal.text(internal.from(internal.init)) == Texts{"main:1", "__init__:3"});
  CHECK(internal.from(internal.cleanup).frames.size() == 1);
}

TEST_CASE("code outside the interpreter's image is the program's, whatever its file and name are",
          "[cpython]") {
  Internal internal;
  const Texts all{"main:1", "__init__:2", "__init__:3"};
  CHECK(internal.text(internal.from(internal.init)) == all);
  internal.load_image_at(internal.main_code);
  CHECK(internal.text(internal.from(internal.init)) == all);
}

TEST_CASE("the image ends before its last address", "[cpython]") {
  Internal internal;
  auto& image = internal.python.runtime.image;
  image = {internal.cleanup_code, internal.cleanup_code + 1};
  CHECK(internal.from(internal.init).frames.size() == 2);
  Internal above;
  above.python.runtime.image = {above.cleanup_code + (~std::uint64_t{0} - 99), above.cleanup_code};
  CHECK(above.from(above.init).frames.size() == 3);
}

TEST_CASE("a static code object with a name and a file of its own is the program's", "[cpython]") {
  Internal internal;
  internal.load_image_at(internal.cleanup_code);
  auto& python = internal.python;
  // Equal characters are not enough: the pointers differ.
  python.memory.put(internal.cleanup_code + python.layout.code.filename.offset, python.add_text("__init__"));
  CHECK(internal.text(internal.from(internal.init)) == Texts{"main:1", "__init__:2", "__init__:3"});
}

TEST_CASE("a thread without a frame has an empty stack that is complete", "[cpython]") {
  Walk new_one{{3, 12}};
  Walk old_one{{3, 9}};
  const auto of_new = new_one.from({});
  const auto of_old = old_one.from({});
  CHECK(of_new.frames.empty());
  CHECK(of_new.end == StackEnd::complete);
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

TEST_CASE("a loop that has not filled in its cframe yet is still where it was called from", "[cpython]") {
  Chain chain;
  auto& python = chain.python;
  const auto left_over = python.add_frame(python.add_code({.name = "old", .first_line = 9}), {}, -1);
  const auto caller = python.add_cframe(chain.leaf, {});
  const auto thread = python.add_thread({});
  const auto set_cframe = [&](RemoteAddress cframe) {
    python.memory.put(thread + python.layout.thread.cframe.offset, cframe);
    return chain.of_thread(thread);
  };
  CHECK(chain.text(set_cframe(python.add_cframe(left_over, caller))) == Texts{"main:1", "work:2", "leaf:3"});
  CHECK(chain.text(set_cframe(python.add_cframe({0x1234}, caller))) == Texts{"main:1", "work:2", "leaf:3"});
  CHECK(chain.text(set_cframe(python.add_cframe({}, caller))) == Texts{"main:1", "work:2", "leaf:3"});
  CHECK(chain.text(set_cframe(python.add_cframe(left_over, {}))) == Texts{"old:9"});
}

TEST_CASE("a loop whose frames come to where it was called from is the stack", "[cpython]") {
  Chain chain;
  auto& python = chain.python;
  const auto thread = python.add_thread({});
  const auto called_from_work = python.add_cframe(chain.leaf, python.add_cframe(chain.work, {}));
  python.memory.put(thread + python.layout.thread.cframe.offset, called_from_work);
  CHECK(chain.text(chain.of_thread(thread)) == Texts{"main:1", "work:2", "leaf:3"});
  // Without a frame that it was called from, what the loop has is all there is.
  const auto called_from_nowhere = python.add_cframe(chain.leaf, python.add_cframe({0x1234}, {}));
  python.memory.put(thread + python.layout.thread.cframe.offset, called_from_nowhere);
  CHECK(chain.text(chain.of_thread(thread)) == Texts{"main:1", "work:2", "leaf:3"});
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

TEST_CASE("a cycle of frames is no stack, and is left after a few of them", "[cpython]") {
  Chain chain;
  chain.python.set_previous(chain.main, chain.work);
  const auto stack = chain.from(chain.leaf);
  CHECK(stack.end == StackEnd::unreadable);
  CHECK(stack.frames.size() < 10);
  CHECK(chain.text(stack).front() == "<unreadable>");
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

TEST_CASE("a cycle of trampolines is no stack either", "[cpython]") {
  Chain chain;
  const auto trampoline = chain.python.add_trampoline({});
  chain.python.set_previous(trampoline, trampoline);
  chain.python.set_previous(chain.leaf, trampoline);
  const auto stack = chain.from(chain.leaf);
  CHECK(stack.end == StackEnd::unreadable);
  CHECK(chain.text(stack).front() == "<unreadable>");
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
