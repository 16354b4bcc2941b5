#include <array>
#include <string>
#include <vector>

#include "catch.h"
#include "walk.h"

namespace sampler {
namespace {

/// A thread that runs while its frames are copied: main calls work calls leaf, side by side on a data stack,
/// where this version has one.
class Running {
 public:
  struct Function {
    std::string_view name;
    RemoteAddress code, object;
  };

  explicit Running(PythonVersion version) : python{version} {
    codes_.let_all_wait();
    if (!root_.is_null())
      python.memory.put(root_ + python.layout.frame.executable.offset, python.memory.add(16));
    call(0, main);
    call(1, work);
    call(2, leaf);
    lead_to(2);
  }

  /// A frame of the function at a depth; its caller is in that call from then on.
  void call(std::size_t depth, const Function& callee) {
    const auto& frame = python.layout.frame;
    const auto caller = depth == 0 ? root_ : place(depth - 1);
    python.put_frame(place(depth), callee.code, caller, 5);
    if (frame.function.exists()) python.memory.put(place(depth) + frame.function.offset, callee.object);
    if (frame.state.exists()) put_state(depth, frame.running_state);
    refer(depth, 1);
    runs_itself(depth);
    if (depth > 0) calls(depth - 1, callee);
  }
  /// As CPython leaves it: the function is in the slot that the call took its arguments from.
  void calls(std::size_t depth, const Function& callee) {
    const auto& frame = python.layout.frame;
    if (frame.stack_top.exists()) python.memory.put(place(depth) + frame.stack_top.offset, top);
    if (frame.stack_pointer.exists()) {
      python.memory.put(place(depth) + frame.stack_pointer.offset, top_of(depth));
      python.memory.put(place(depth) + frame.return_offset.offset, std::uint16_t{4});
    }
    const std::uint64_t tag = python.layout.traits.executable_tag_mask & 1U;
    if (frame.locals.exists()) python.memory.put(top_of(depth), callee.object + tag);
  }
  void runs_itself(std::size_t depth) {
    const auto& frame = python.layout.frame;
    if (frame.stack_top.exists()) python.memory.put(place(depth) + frame.stack_top.offset, std::int32_t{-1});
    if (frame.return_offset.exists()) {
      python.memory.put(place(depth) + frame.return_offset.offset, std::uint16_t{0});
    }
  }
  /// What a frame keeps of its call when that is over.
  void returns(std::size_t depth) {
    const auto& frame = python.layout.frame;
    if (frame.state.exists() || frame.references.exists()) {
      if (frame.state.exists()) put_state(depth, frame.running_state + 1);
      refer(depth, 0);
      python.set_previous(place(depth), {});
    } else if (frame.stack_top.exists()) {
      runs_itself(depth - 1);
    } else {
      python.memory.put(place(depth) + frame.executable.offset, RemoteAddress{});
    }
  }
  void lead_to(std::size_t depth) { python.lead_to(state_, place(depth)); }
  [[nodiscard]] RemoteAddress state() const noexcept { return state_; }
  /// The first word that a caller's value stack does not use.
  [[nodiscard]] RemoteAddress top_of(std::size_t depth) const {
    return place(depth) + (python.layout.frame.locals.offset + std::uint64_t{top} * 8);
  }
  [[nodiscard]] RemoteAddress place(std::size_t depth) const { return area_ + length() * depth; }

  /// The code objects have been the same for long enough to be taken for known.
  void let_codes_last() {
    for (int i = 0; i < 8; ++i) {
      codes_.begin_reading();
      for (const auto& function : {main, work, leaf}) {
        static_cast<void>(codes_.find(python.memory, function.code));
      }
      static_cast<void>(codes_.confirm(python.memory));
    }
  }

  /// The names of the stack, root first, as it is copied now.
  Texts sample() {
    codes_.begin_tick();
    codes_.begin_reading();
    stack.walk(python.memory, python.runtime, codes_, state_, Motion::possible);
    Texts names;
    for (const auto id : stacks_.frames_of(stack.decode(python.layout, stacks_))) {
      names.emplace_back(stacks_.text(stacks_.frame(id).name));
    }
    python.memory.end_sample();
    return names;
  }

  FakePython python;
  ThreadStack stack;
  Function main = define("main"), work = define("work"), leaf = define("leaf"), other = define("other");

 private:
  static constexpr std::int32_t locals = 2;
  static constexpr std::int32_t stack_size = 6;
  static constexpr std::int32_t top = locals + 1;  // of a caller's value stack

  Function define(std::string_view name) {
    const auto code = python.add_code(
        {.name = name, .first_line = 1, .version = 7, .locals = locals, .stack_size = stack_size});
    return {name, code, python.memory.add(64)};
  }
  void put_state(std::size_t depth, std::uint32_t state) {
    python.memory.put(place(depth) + python.layout.frame.state.offset, static_cast<std::int8_t>(state));
  }
  void refer(std::size_t depth, std::int64_t count) {
    const auto field = python.layout.frame.references;
    if (field.exists()) python.memory.put(place(depth) + field.offset, count);
  }
  /// Bytes from a frame to the next.
  [[nodiscard]] std::uint64_t length() const {
    const auto& frame = python.layout.frame;
    return frame.locals.exists() ? frame.locals.offset + std::uint64_t{locals + stack_size} * 8 : 512;
  }

  CodeCache codes_{python.runtime};
  StackTable stacks_;
  RemoteAddress root_ = python.add_root();
  RemoteAddress area_ = python.memory.add(8 * length());
  RemoteAddress state_ = python.add_thread({});
};

constexpr PythonVersion with_frame_objects{3, 9};
constexpr PythonVersion with_stack_top{3, 12};
constexpr PythonVersion with_cleared_frames{3, 14};
constexpr std::array every{with_frame_objects, with_stack_top, with_cleared_frames};

}  // namespace

TEST_CASE("of a thread that runs, frames that fit together are its stack", "[cpython]") {
  for (const auto version : every) {
    Running thread{version};
    CHECK(thread.sample() == Texts{"main", "work", "leaf"});
    CHECK(thread.stack.end() == StackEnd::complete);
  }
}

TEST_CASE("a caller that runs itself when it is copied is where the thread is", "[cpython]") {
  for (const auto version : {with_stack_top, with_cleared_frames}) {
    Running thread{version};
    static_cast<void>(thread.sample());
    thread.returns(2);  // after the thread was said to be there
    CHECK(thread.sample() == Texts{"main", "work"});
    CHECK(thread.stack.end() == StackEnd::complete);
  }
}

TEST_CASE("what the thread has called since it was said to be there is part of its stack", "[cpython]") {
  for (const auto version : every) {
    Running thread{version};
    static_cast<void>(thread.sample());  // tells where frame objects are
    thread.let_codes_last();
    thread.lead_to(1);
    CHECK(thread.sample() == Texts{"main", "work", "leaf"});
  }
}

TEST_CASE("a caller that calls another function than the frame on top of it was copied at another moment",
          "[cpython]") {
  Running thread{GENERATE(with_stack_top, with_cleared_frames)};
  thread.calls(1, thread.other);
  CHECK(thread.sample() == Texts{"main", "work", "<torn>"});
  CHECK(thread.stack.end() == StackEnd::torn);
}

TEST_CASE("a property's frame lies on top of the object that it was asked of", "[cpython]") {
  Running thread{GENERATE(with_stack_top, with_cleared_frames)};
  const auto self = thread.python.memory.add(16);
  thread.calls(1, {"self", {}, self});
  thread.python.memory.put(thread.place(2) + thread.python.layout.frame.locals.offset, self);
  CHECK(thread.sample() == Texts{"main", "work", "leaf"});
}

TEST_CASE("a property whose object a function inside of it uses has that in a cell", "[cpython]") {
  Running thread{GENERATE(with_stack_top, with_cleared_frames)};
  const auto& layout = thread.python.layout;
  const auto self = thread.python.memory.add(16);
  const auto cell = thread.python.memory.add(24);
  thread.python.memory.put(cell + (layout.object.type.offset + 8), self);
  thread.calls(1, {"self", {}, self});
  thread.python.memory.put(thread.place(2) + layout.frame.locals.offset, cell);
  CHECK(thread.sample() == Texts{"main", "work", "leaf"});
}

TEST_CASE("the frame that has made a generator is no call that goes on", "[cpython]") {
  Running thread{with_cleared_frames};
  static_cast<void>(thread.sample());
  constexpr std::int32_t generator = 0x20;
  thread.python.memory.put(thread.leaf.code + thread.python.layout.code.flags.offset, generator);
  thread.python.memory.put(thread.leaf.code + thread.python.layout.code.version.offset, std::uint32_t{8});
  thread.let_codes_last();
  thread.lead_to(1);
  CHECK(thread.sample() == Texts{"main", "work"});
}

TEST_CASE("a stack that is the same twice stands still, however odd it looks", "[cpython]") {
  Running thread{GENERATE(with_stack_top, with_cleared_frames)};
  thread.calls(1, thread.other);
  static_cast<void>(thread.sample());
  CHECK(thread.stack.end() == StackEnd::torn);
  thread.stack.forget();
  CHECK(thread.sample() == Texts{"main", "work", "leaf"});
}

TEST_CASE("a frame inside of what its caller takes on the data stack was left by another call", "[cpython]") {
  Running thread{GENERATE(with_stack_top, with_cleared_frames)};
  const auto field = thread.python.layout.code.stack_size;
  thread.python.memory.put(thread.work.code + field.offset, std::int32_t{20});
  CHECK(thread.sample() == Texts{"main", "work", "<torn>"});
}

TEST_CASE("a frame that has not begun is in no call, whatever its words say", "[cpython]") {
  Running thread{GENERATE(with_stack_top, with_cleared_frames)};
  static_cast<void>(thread.sample());
  thread.python.memory.put(thread.place(1) + thread.python.layout.frame.instruction.offset,
                           thread.python.instruction(thread.work.code, -1));
  CHECK(thread.sample() == Texts{"main", "work"});
}

TEST_CASE("a generator is resumed by the caller that has it at the end of its value stack", "[cpython]") {
  constexpr std::uint8_t generators = 1;
  Running thread{GENERATE(with_stack_top, with_cleared_frames)};
  auto& memory = thread.python.memory;
  const auto& frame = thread.python.layout.frame;
  const auto generator = memory.add(frame.size + 72);
  const auto inner = generator + 72;
  thread.python.put_frame(inner, thread.leaf.code, thread.place(1), 5);
  memory.put(inner + frame.owner.offset, generators);
  thread.python.lead_to(thread.state(), inner);
  thread.runs_itself(1);
  CHECK(thread.sample() == Texts{"main", "work"});
  thread.calls(1, thread.other);
  CHECK(thread.sample() == Texts{"main", "work", "<torn>"});
  memory.put({thread.top_of(1).value - sizeof(RemoteAddress)}, generator);
  CHECK(thread.sample() == Texts{"main", "work", "leaf"});
}

TEST_CASE("what is no trampoline by its executable is no root, until it is seen again and again",
          "[cpython]") {
  Running thread{GENERATE(with_stack_top, with_cleared_frames)};
  auto& python = thread.python;
  REQUIRE(thread.sample() == Texts{"main", "work", "leaf"});
  python.set_previous(thread.place(1), python.add_trampoline({}));
  static_cast<void>(thread.sample());
  CHECK(thread.stack.end() == StackEnd::torn);
  for (int i = 0; i < 100; ++i) static_cast<void>(thread.sample());
  CHECK(thread.stack.end() == StackEnd::complete);
}

TEST_CASE("what C has pushed and not linked yet is no root", "[cpython]") {
  Running thread{GENERATE(with_stack_top, with_cleared_frames)};
  thread.python.set_previous(thread.place(2), {});
  static_cast<void>(thread.sample());
  CHECK(thread.stack.end() == StackEnd::torn);
}

TEST_CASE("a frame object that has returned has lost its caller: what is known from the root on is left",
          "[cpython]") {
  for (const auto version : {PythonVersion{2, 7}, with_frame_objects}) {
    Running thread{version};
    static_cast<void>(thread.sample());
    thread.returns(1);  // and leaf with it, whose caller it was
    CHECK(thread.sample() == Texts{"main", "<torn>"});
    CHECK(thread.stack.end() == StackEnd::torn);
  }
}

TEST_CASE("a frame object of 2.7 that a traceback keeps is in no call", "[cpython]") {
  Running thread{{2, 7}};
  static_cast<void>(thread.sample());
  thread.lead_to(1);
  CHECK(thread.sample() == Texts{"main", "work"});
}

TEST_CASE("a caller that never tells that it calls is not believed any more", "[cpython]") {
  // As the frames of a JIT's code: nothing of a call is kept in them.
  Running thread{with_cleared_frames};
  const auto call_unnoticed = [&](int i) {
    thread.call(2, i % 2 == 0 ? thread.leaf : thread.other);
    thread.runs_itself(1);
    return thread.sample();
  };
  CHECK(call_unnoticed(1) == Texts{"main", "work"});
  for (int i = 0; i < 20; ++i) static_cast<void>(call_unnoticed(i));
  CHECK(call_unnoticed(0) == Texts{"main", "work", "<torn>"});
  for (int i = 0; i < 60; ++i) static_cast<void>(call_unnoticed(i));
  CHECK(call_unnoticed(0) == Texts{"main", "work", "leaf"});
  // One that tells is believed again.
  thread.call(2, thread.leaf);
  CHECK(thread.sample() == Texts{"main", "work", "leaf"});
  CHECK(call_unnoticed(1) == Texts{"main", "work"});
}

TEST_CASE("before there was a JIT a caller is believed however often it calls nothing", "[cpython]") {
  Running thread{with_stack_top};
  for (int i = 0; i < 200; ++i) {
    thread.call(2, i % 2 == 0 ? thread.leaf : thread.other);
    thread.runs_itself(1);
    CHECK(thread.sample() == Texts{"main", "work"});
  }
}

}  // namespace sampler
