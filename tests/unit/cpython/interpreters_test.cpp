#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "catch.h"
#include "fake_python.h"
#include "sampler/cpython/thread_lister.h"

namespace sampler {
namespace {

constexpr std::uint32_t tid_offset = 720;
constexpr Tid first_thread{100}, worker{200}, other_worker{300};

/// The interpreters of a list by id, newest first.
std::vector<std::uint64_t> ids(const ThreadList& list) {
  std::vector<std::uint64_t> found;
  for (const auto& interpreter : list.interpreters) found.push_back(interpreter.id);
  return found;
}

PythonThread thread_of(const ThreadList& list, RemoteAddress state) {
  const auto found = std::find_if(list.threads.begin(), list.threads.end(),
                                  [&](const PythonThread& thread) { return thread.state == state; });
  REQUIRE(found != list.threads.end());
  return *found;
}

/// A Python with a main interpreter and newer ones, whose thread states name their threads as glibc does.
class Interpreters {
 public:
  explicit Interpreters(PythonVersion version) : python{version} {
    python.runtime.tid_offset = tid_offset;
    python.runtime.main_thread = first_thread;
  }

  /// An interpreter with this id, where this Python keeps ids.
  RemoteAddress add(std::int64_t id) {
    const auto interpreter = python.add_interpreter();
    const auto field = python.layout.interpreter.id;
    if (field.exists()) python.memory.put(interpreter + field.offset, id);
    return interpreter;
  }
  /// glibc's struct pthread of a thread, above all that was made before.
  RemoteAddress add_pthread(Tid tid) {
    const auto pthread = python.memory.add(1024);
    python.memory.put(pthread + tid_offset, static_cast<std::uint32_t>(number(tid)));
    return pthread;
  }
  /// A thread state of an interpreter that names this thread.
  RemoteAddress add_state(RemoteAddress interpreter, RemoteAddress pthread) {
    const auto state = python.add_listed_thread(interpreter);
    python.memory.put(state + python.layout.thread.thread_id.offset, pthread);
    return state;
  }
  void set_cframe(RemoteAddress state, RemoteAddress cframe) {
    python.memory.put(state + python.layout.thread.cframe.offset, cframe);
  }
  [[nodiscard]] ThreadList list() { return list_threads(python.memory, python.runtime); }
  /// The thread that runs a state.
  [[nodiscard]] Tid runner(RemoteAddress state) { return thread_of(list(), state).tid; }

  FakePython python;
};

/// From low to high: a worker's stack and struct pthread, another's, the first thread's struct pthread, and
/// its stack. The first thread has made a subinterpreter, so that the state in there names it.
struct Stacks : Interpreters {
  explicit Stacks(PythonVersion version) : Interpreters{version} {}

  RemoteAddress worker_stack = python.memory.add(4096);
  RemoteAddress worker_pthread = add_pthread(worker);
  RemoteAddress other_stack = python.memory.add(4096);
  RemoteAddress other_pthread = add_pthread(other_worker);
  /// Another number than the runtime's main_thread, to tell the two apart.
  RemoteAddress first_pthread = add_pthread(Tid{101});
  RemoteAddress first_stack = python.memory.add(4096);
  RemoteAddress main = add(0);
  RemoteAddress first_state = add_state(main, first_pthread);
  RemoteAddress worker_state = add_state(main, worker_pthread);
  RemoteAddress other_state = add_state(main, other_pthread);
  RemoteAddress sub = add(1);
  RemoteAddress sub_state = add_state(sub, first_pthread);
};

}  // namespace

TEST_CASE("interpreters have the ids that memory tells", "[cpython]") {
  for (const PythonVersion version : {PythonVersion{3, 7}, {3, 12}, {3, 14, true}}) {
    Interpreters several{version};
    const auto main = several.add(0);
    const auto second = several.add(3);
    const auto third = several.add(1'000'000'000'000);
    const auto in_second = several.add_state(second, {});
    const auto in_third = several.add_state(third, {});
    const auto in_main = several.add_state(main, {});
    const auto list = several.list();
    CHECK_FALSE(list.is_damaged);
    CHECK(ids(list) == std::vector<std::uint64_t>{1'000'000'000'000, 3, 0});
    CHECK(list.interpreters[1].state == second);
    CHECK(thread_of(list, in_main).interpreter == 0);
    CHECK(thread_of(list, in_second).interpreter == 3);
    CHECK(thread_of(list, in_third).interpreter == 1'000'000'000'000);
  }
}

TEST_CASE("interpreters of a Python without ids are counted from the main one", "[cpython]") {
  for (const PythonVersion version : {PythonVersion{2, 7}, {3, 6}}) {
    Interpreters several{version};
    REQUIRE_FALSE(several.python.layout.interpreter.id.exists());
    const auto main = several.add(0);
    const auto second = several.add(0);
    const auto third = several.add(0);
    const auto in_main = several.add_state(main, {});
    const auto in_third = several.add_state(third, {});
    const auto also_in_third = several.add_state(third, {});
    const auto in_second = several.add_state(second, {});
    const auto list = several.list();
    CHECK(ids(list) == std::vector<std::uint64_t>{2, 1, 0});
    CHECK(thread_of(list, in_main).interpreter == 0);
    CHECK(thread_of(list, in_second).interpreter == 1);
    CHECK(thread_of(list, in_third).interpreter == 2);
    CHECK(thread_of(list, also_in_third).interpreter == 2);
  }
}

TEST_CASE("an interpreter without threads has an id and shifts no other's threads", "[cpython]") {
  Interpreters several{{2, 7}};
  const auto in_main = several.add_state(several.add(0), {});
  several.add(0);
  const auto in_third = several.add_state(several.add(0), {});
  const auto list = several.list();
  CHECK(list.interpreters.size() == 3);
  CHECK(thread_of(list, in_main).interpreter == 0);
  CHECK(thread_of(list, in_third).interpreter == 2);
}

TEST_CASE("one interpreter is the main one", "[cpython]") {
  Interpreters one{{3, 12}};
  const auto state = one.add_state(one.add(0), one.add_pthread(worker));
  const auto list = one.list();
  REQUIRE(list.interpreters.size() == 1);
  CHECK(thread_of(list, state) == PythonThread{state, worker, 0});
}

TEST_CASE("an interpreter's own GIL is told where this Python has them", "[cpython]") {
  const auto gil_in = [](PythonVersion version) {
    Interpreters several{version};
    const auto field = several.python.layout.interpreter.gil;
    const auto main = several.add(0);
    if (field.exists()) several.python.memory.put(main + field.offset, RemoteAddress{0x1234});
    several.add(1);
    const auto list = several.list();
    return std::pair{list.interpreters[0].gil, list.interpreters[1].gil};
  };
  CHECK(gil_in({3, 12}) == std::pair{RemoteAddress{}, RemoteAddress{0x1234}});
  CHECK(gil_in({3, 14}) == std::pair{RemoteAddress{}, RemoteAddress{0x1234}});
  CHECK(gil_in({3, 11}) == std::pair{RemoteAddress{}, RemoteAddress{}});
  CHECK(gil_in({3, 14, true}) == std::pair{RemoteAddress{}, RemoteAddress{}});
}

TEST_CASE("a thread has a state in each interpreter that it is inside of", "[cpython]") {
  Interpreters several{{3, 13}};
  const auto pthread = several.add_pthread(worker);
  const auto in_main = several.add_state(several.add(0), pthread);
  const auto in_sub = several.add_state(several.add(1), pthread);
  const auto list = several.list();
  CHECK(thread_of(list, in_main) == PythonThread{in_main, worker, 0});
  CHECK(thread_of(list, in_sub) == PythonThread{in_sub, worker, 1});
}

TEST_CASE("the newer interpreters' threads are listed first", "[cpython]") {
  Interpreters several{{3, 13}};
  const auto in_main = several.add_state(several.add(0), {});
  const auto in_sub = several.add_state(several.add(1), {});
  const auto list = several.list();
  REQUIRE(list.threads.size() == 2);
  CHECK(list.threads[0].state == in_sub);
  CHECK(list.threads[1].state == in_main);
}

TEST_CASE("a state that names its thread is run by it, wherever it may be", "[cpython]") {
  for (const PythonVersion version : {PythonVersion{3, 7}, {3, 13}, {3, 14, true}}) {
    Stacks stacks{version};
    CHECK(stacks.runner(stacks.sub_state) == Tid{101});
  }
}

TEST_CASE("a state of a subinterpreter is run by the thread on whose stack its cframe lies", "[cpython]") {
  for (const PythonVersion version : {PythonVersion{3, 10}, {3, 11}, {3, 12}}) {
    Stacks stacks{version};
    stacks.set_cframe(stacks.sub_state, stacks.worker_stack + 4000);
    CHECK(stacks.runner(stacks.sub_state) == worker);
    stacks.set_cframe(stacks.sub_state, stacks.worker_stack);
    CHECK(stacks.runner(stacks.sub_state) == worker);
    stacks.set_cframe(stacks.sub_state, stacks.other_stack);
    CHECK(stacks.runner(stacks.sub_state) == other_worker);
    // The stack of a thread ends where its struct pthread begins.
    stacks.set_cframe(stacks.sub_state, stacks.worker_pthread);
    CHECK(stacks.runner(stacks.sub_state) == worker);
    stacks.set_cframe(stacks.sub_state, stacks.worker_pthread + 1);
    CHECK(stacks.runner(stacks.sub_state) == other_worker);
  }
}

TEST_CASE("a cframe above every struct pthread is on the first thread's stack", "[cpython]") {
  Stacks stacks{{3, 12}};
  stacks.set_cframe(stacks.sub_state, stacks.first_stack);
  CHECK(stacks.runner(stacks.sub_state) == first_thread);
}

TEST_CASE("a cframe inside its own thread state tells that nobody runs it", "[cpython]") {
  Stacks stacks{{3, 12}};
  stacks.set_cframe(stacks.sub_state, stacks.sub_state + 32);
  CHECK(stacks.runner(stacks.sub_state) == Tid{101});
  stacks.set_cframe(stacks.sub_state, stacks.sub_state);
  CHECK(stacks.runner(stacks.sub_state) == Tid{101});
  // Another's is not its own: this one is above all.
  stacks.set_cframe(stacks.sub_state, stacks.first_state);
  CHECK(stacks.runner(stacks.sub_state) == first_thread);
}

TEST_CASE("a state with a frame object and no cframe of its own is between two loops", "[cpython]") {
  Stacks stacks{{3, 10}};
  stacks.set_cframe(stacks.sub_state, stacks.sub_state + 32);
  CHECK(stacks.runner(stacks.sub_state) == Tid{101});
  stacks.python.memory.put(stacks.sub_state + stacks.python.layout.thread.frame.offset,
                           RemoteAddress{0x1234});
  CHECK(stacks.runner(stacks.sub_state) == Tid{});
}

TEST_CASE("a thread state runs while its cframe is outside of it", "[cpython]") {
  FakePython python{{3, 12}};
  const auto& layout = python.layout;
  const auto state = python.add_thread({});
  const auto cframe_at = [&](RemoteAddress cframe) {
    python.memory.put(state + layout.thread.cframe.offset, cframe);
    return cframe_of(python.memory, layout, state);
  };
  CHECK(cframe_at({0x7ffc'0000'1000}) == RemoteAddress{0x7ffc'0000'1000});
  CHECK(cframe_at({state.value - 8}) == RemoteAddress{state.value - 8});
  CHECK(cframe_at(state + 4096) == state + 4096);
  CHECK_FALSE(cframe_at(state + 4095));
  CHECK_FALSE(cframe_at(state));
  CHECK_FALSE(cframe_of(python.memory, layout, {0x1234}));
}

TEST_CASE("a state of the main interpreter is run by the thread it names, wherever its cframe is",
          "[cpython]") {
  Stacks stacks{{3, 12}};
  stacks.set_cframe(stacks.worker_state, stacks.other_stack);
  CHECK(stacks.runner(stacks.worker_state) == worker);
}

TEST_CASE("a thread's stack is where its struct pthread is, whoever runs the states that name it",
          "[cpython]") {
  Stacks stacks{{3, 12}};
  const auto third_stack = stacks.python.memory.add(4096);
  const auto newest_state = stacks.add_state(stacks.add(2), stacks.add_pthread(Tid{400}));
  stacks.set_cframe(newest_state, stacks.worker_stack);
  stacks.set_cframe(stacks.sub_state, third_stack);
  CHECK(stacks.runner(newest_state) == worker);
  CHECK(stacks.runner(stacks.sub_state) == Tid{400});
}

TEST_CASE("thread states that name nobody are no help to find a stack's owner, and no harm", "[cpython]") {
  Stacks stacks{{3, 12}};
  stacks.add_state(stacks.main, {});
  stacks.add_state(stacks.main, {0x1234});
  stacks.set_cframe(stacks.sub_state, stacks.worker_stack);
  CHECK(stacks.runner(stacks.sub_state) == worker);
}

TEST_CASE("a state of a subinterpreter of whose thread nothing tells has none", "[cpython]") {
  for (const PythonVersion version : {PythonVersion{3, 8}, {3, 9}}) {
    Stacks stacks{version};
    CHECK(stacks.runner(stacks.sub_state) == Tid{});
    CHECK(stacks.runner(stacks.first_state) == Tid{101});
    CHECK(stacks.runner(stacks.worker_state) == worker);
  }
}

TEST_CASE("the interpreters that came before the damage are listed", "[cpython]") {
  Interpreters several{{3, 12}};
  const auto main = several.add(0);
  several.add(1);
  const auto newest = several.add(2);
  several.python.memory.remove(main);
  const auto list = several.list();
  CHECK(list.is_damaged);
  REQUIRE_FALSE(list.interpreters.empty());
  CHECK(list.interpreters.front() == Interpreter{newest, 2, {}});
}

TEST_CASE("as many interpreters as there may be are listed, and one more is damage", "[cpython]") {
  Interpreters several{{3, 12}};
  for (std::size_t i = 0; i < most_interpreters; ++i) several.add(static_cast<std::int64_t>(i));
  CHECK_FALSE(several.list().is_damaged);
  CHECK(several.list().interpreters.size() == most_interpreters);
  several.add(-1);
  CHECK(several.list().is_damaged);
  CHECK(several.list().interpreters.size() == most_interpreters);
}

TEST_CASE("thread states made since a list was made are found at the heads", "[cpython]") {
  Interpreters several{{3, 12}};
  const auto main = several.add(0);
  const auto sub = several.add(7);
  several.add_state(main, several.add_pthread(first_thread));
  several.add_state(sub, {});
  const auto known = several.list();
  const auto fresh = [&] {
    return list_new_threads(several.python.memory, several.python.runtime, known.interpreters, known.threads);
  };
  CHECK(fresh().empty());
  const auto in_main = several.add_state(main, several.add_pthread(worker));
  const auto in_sub = several.add_state(sub, several.add_pthread(other_worker));
  const auto also_in_sub = several.add_state(sub, {});
  CHECK(fresh() ==
        std::vector<PythonThread>{{also_in_sub, Tid{}, 7}, {in_sub, other_worker, 7}, {in_main, worker, 0}});
}

TEST_CASE("a few new thread states are followed at most", "[cpython]") {
  Interpreters one{{3, 12}};
  const auto main = one.add(0);
  const auto state = one.add_state(main, {});
  const auto interpreters = one.list().interpreters;
  one.python.memory.put(state + one.python.layout.thread.next.offset, state);
  CHECK(list_new_threads(one.python.memory, one.python.runtime, interpreters, {}).size() == 64);
  one.python.memory.remove(main);
  CHECK(list_new_threads(one.python.memory, one.python.runtime, interpreters, {}).empty());
}

}  // namespace sampler
