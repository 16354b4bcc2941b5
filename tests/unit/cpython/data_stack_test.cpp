#include <cstdint>
#include <string_view>

#include "catch.h"
#include "walk.h"

namespace sampler {
namespace {

/// A thread of 3.12 whose frames lie end to end on a data stack, called by evaluation loops on a C stack.
struct Thread : Walk {
  Thread() : Walk{{3, 12}} {
    memory.put(state + layout.thread.data_stack_chunk.offset, chunk);
    memory.put(state + layout.thread.cframe.offset, first_loop);
    set_loop(first_loop, {}, state + 272);  // as the first loop has it: the cframe inside of the thread state
    memory.put(first_loop + layout.cframe.previous.offset, RemoteAddress{});
  }

  RemoteAddress add_code(std::string_view name, std::int32_t line, std::int32_t words,
                         std::int32_t flags = 0) {
    return python.add_code(
        {.name = name, .first_line = line, .line_table = {0xD7, 0, 0}, .locals = words, .flags = flags});
  }
  /// The next frame on the data stack.
  RemoteAddress push(RemoteAddress code, std::int32_t words, RemoteAddress previous, std::int32_t index) {
    const auto frame = top;
    python.put_frame(frame, code, previous, index);
    memory.put(frame + layout.frame.stack_top.offset, std::int32_t{-1});
    top = frame + (layout.frame.locals.offset + static_cast<std::uint64_t>(words) * 8);
    set_top(top);
    return frame;
  }
  void set_top(RemoteAddress address) {
    top = address;
    memory.put(state + layout.thread.data_stack_top.offset, top);
  }
  void set_loop(RemoteAddress cframe, RemoteAddress current, RemoteAddress previous) {
    memory.put(cframe + layout.cframe.current_frame.offset, current);
    memory.put(cframe + layout.cframe.previous.offset, previous);
  }
  Texts stack() { return text(of_thread(state)); }

  FakeMemory& memory = python.memory;
  const Layout& layout = python.layout;
  RemoteAddress state = python.add_thread({});
  RemoteAddress chunk = memory.add(16384);
  RemoteAddress c_stack = memory.add(1U << 17U);
  RemoteAddress first_loop = c_stack + 1600;
  RemoteAddress root = python.add_trampoline({});
  RemoteAddress top = chunk + 32;  // behind the chunk's head and its first word, which is not used
};

/// main calls a and c; a calls b; b and c call d, whose frame is at the same place each time.
struct TwoWays : Thread {
  RemoteAddress main_code = add_code("main", 1, 4);
  RemoteAddress c_code = add_code("c", 3, 11);
  RemoteAddress d_code = add_code("d", 4, 2);
  RemoteAddress main = push(main_code, 4, root, 5);
  RemoteAddress c = push(c_code, 11, main, 5);
};

}  // namespace

TEST_CASE("a leaf that has not begun has the caller that it lies behind, whatever it says", "[cpython]") {
  TwoWays thread;
  // The current frame before it was told its caller: left over is the one of another call.
  const auto d = thread.push(thread.d_code, 2, thread.main, -1);
  thread.set_loop(thread.first_loop, d, {});
  CHECK(thread.stack() == Texts{"main:1", "c:3", "d:4"});
  thread.memory.put(d + thread.layout.frame.previous.offset, RemoteAddress{0x1234});
  CHECK(thread.stack() == Texts{"main:1", "c:3", "d:4"});
}

TEST_CASE("a leaf that has begun knows its caller, wherever it lies", "[cpython]") {
  // As the frames of what a destructor calls while its caller's last frame is still there.
  TwoWays thread;
  const auto d = thread.push(thread.d_code, 2, thread.main, 1);
  thread.set_loop(thread.first_loop, d, {});
  CHECK(thread.stack() == Texts{"main:1", "d:4"});
}

TEST_CASE("a leaf that has not begun, and that a generator may have called, is not guessed at", "[cpython]") {
  TwoWays thread;
  // The frame below it has called something else, by what it has on its value stack.
  thread.memory.put(thread.c + thread.layout.frame.stack_top.offset, std::int32_t{3});
  const auto d = thread.push(thread.d_code, 2, thread.c, -1);
  thread.memory.put(d + thread.layout.frame.function.offset, RemoteAddress{0x4440});
  thread.set_loop(thread.first_loop, d, {});
  CHECK(thread.of_thread(thread.state).end == StackEnd::unreadable);
}

TEST_CASE("a loop that has filled in nothing is where the nearest one on the C stack called it",
          "[cpython]") {
  TwoWays thread;
  thread.set_loop(thread.first_loop, thread.c, thread.state + 272);
  const auto new_loop = thread.c_stack + 64;
  thread.memory.put(thread.state + thread.layout.thread.cframe.offset, new_loop);
  // d has been made for it, and does not know its caller. What is in the new loop's place is of older calls.
  const auto d = thread.push(thread.d_code, 2, {0x1234}, -1);
  thread.set_loop(new_loop, {0x1234}, {0x5678});
  CHECK(thread.stack() == Texts{"main:1", "c:3"});
  thread.set_loop(new_loop, thread.main, thread.c_stack + 128);
  CHECK(thread.stack() == Texts{"main:1", "c:3"});
  // Two pointers that are no loop's do not mislead: what calls has begun.
  thread.set_loop(thread.c_stack + 256, d, thread.c_stack + 512);
  CHECK(thread.stack() == Texts{"main:1", "c:3"});
}

TEST_CASE("where no loop of the C stack has the thread's frames, the stack is unreadable", "[cpython]") {
  TwoWays thread;
  const auto new_loop = thread.c_stack + 64;
  thread.memory.put(thread.state + thread.layout.thread.cframe.offset, new_loop);
  static_cast<void>(thread.push(thread.d_code, 2, {0x1234}, -1));
  thread.set_loop(thread.first_loop, thread.main, thread.state + 272);  // without c
  thread.set_loop(new_loop, {0x1234}, thread.first_loop);
  CHECK(thread.stack() == Texts{"<unreadable>"});
}

TEST_CASE("the frame of a call that begins or ends is no part of the stack", "[cpython]") {
  TwoWays thread;
  thread.set_loop(thread.first_loop, thread.c, {});
  CHECK(thread.stack() == Texts{"main:1", "c:3"});
  static_cast<void>(thread.push(thread.d_code, 2, {}, 3));  // has returned, or is about to be called
  CHECK(thread.stack() == Texts{"main:1", "c:3"});
  thread.set_top(thread.top + 200);  // is being made: its code is not there yet
  CHECK(thread.stack() == Texts{"main:1", "c:3"});
}

TEST_CASE("a frame in a new chunk follows the last one of the chunk before", "[cpython]") {
  TwoWays thread;
  const auto end = thread.top;
  const auto next = thread.memory.add(16384);
  thread.memory.put(next, thread.chunk);
  thread.memory.put(thread.chunk + 16, (end.value - thread.chunk.value - 24) / 8);
  thread.memory.put(thread.state + thread.layout.thread.data_stack_chunk.offset, next);
  thread.top = next + 24;
  const auto d = thread.push(thread.d_code, 2, thread.main, -1);
  thread.set_loop(thread.first_loop, d, {});
  CHECK(thread.stack() == Texts{"main:1", "c:3", "d:4"});
}

}  // namespace sampler
