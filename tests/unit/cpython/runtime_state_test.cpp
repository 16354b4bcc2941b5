#include "sampler/cpython/runtime_state.h"

#include <cstdint>

#include "catch.h"
#include "fake_python.h"

namespace sampler {
namespace {

/// A Python that has made its interpreter, first thread and GIL.
struct Initialised {
  explicit Initialised(PythonVersion version) : python{version} {
    set_gil(main, main_gil);
    set_locked(main_gil, 0);
    python.runtime.finalizing = python.memory.add(8);
  }

  void set_gil(RemoteAddress interpreter, RemoteAddress gil) {
    const auto field = python.layout.interpreter.gil;
    if (field.exists()) python.memory.put(interpreter + field.offset, gil);
    if (python.layout.traits.gil == GilKind::in_runtime) python.runtime.gil.state = gil;
  }
  void set_locked(RemoteAddress gil, std::int32_t locked) {
    if (python.layout.gil.locked.exists()) python.memory.put(gil + python.layout.gil.locked.offset, locked);
  }
  [[nodiscard]] bool is_ready() { return is_initialised(python.memory, python.runtime); }

  FakePython python;
  RemoteAddress main_gil = python.memory.add(256);
  RemoteAddress main = python.add_interpreter();
  RemoteAddress thread = python.add_listed_thread(main);
};

constexpr std::initializer_list<PythonVersion> kinds{{2, 7}, {3, 9}, {3, 12}, {3, 14}, {3, 14, true}};

}  // namespace

TEST_CASE("a runtime with an interpreter, a thread and a GIL is initialised", "[cpython]") {
  for (const auto version : kinds) CHECK(Initialised{version}.is_ready());
}

TEST_CASE("a runtime without an interpreter or a thread is not initialised yet", "[cpython]") {
  for (const auto version : kinds) {
    FakePython empty{version};
    CHECK_FALSE(is_initialised(empty.memory, empty.runtime));
    empty.add_interpreter();
    CHECK_FALSE(is_initialised(empty.memory, empty.runtime));
  }
}

TEST_CASE("a thread that names another interpreter proves none", "[cpython]") {
  for (const auto version : kinds) {
    Initialised foreign{version};
    foreign.python.memory.put(foreign.thread + foreign.python.layout.thread.interpreter.offset,
                              foreign.python.memory.add(512));
    CHECK_FALSE(foreign.is_ready());
  }
}

TEST_CASE("a runtime whose code objects' type is not that of its program is not its program's", "[cpython]") {
  for (const auto version : kinds) {
    Initialised unused{version}, untyped{version}, nowhere{version};
    unused.python.set_type_flags(~(std::uint64_t{1} << 12U));
    CHECK_FALSE(unused.is_ready());
    const auto object_type = untyped.python.layout.object.type.offset;
    untyped.python.memory.put(untyped.python.runtime.code_type + object_type, untyped.python.memory.add(400));
    CHECK_FALSE(untyped.is_ready());
    nowhere.python.runtime.code_type = {};
    CHECK_FALSE(nowhere.is_ready());
  }
}

TEST_CASE("a runtime whose GIL is not made is not initialised yet", "[cpython]") {
  Initialised in_interpreter{{3, 12}}, in_runtime{{3, 9}};
  in_interpreter.set_locked(in_interpreter.main_gil, -1);
  in_runtime.set_locked(in_runtime.main_gil, -1);
  CHECK_FALSE(in_interpreter.is_ready());
  CHECK_FALSE(in_runtime.is_ready());
  in_interpreter.set_gil(in_interpreter.main, {});
  CHECK_FALSE(in_interpreter.is_ready());
}

TEST_CASE("the GIL is that of the main interpreter, the last of the list", "[cpython]") {
  Initialised several{{3, 12}};
  for (int i = 0; i < 3; ++i) {
    const auto own_gil = several.python.memory.add(256);
    several.set_locked(own_gil, -1);
    several.set_gil(several.python.add_interpreter(), own_gil);
  }
  CHECK(several.is_ready());
  CHECK(several.python.runtime.gil.state == several.main_gil);
}

TEST_CASE("a list of interpreters without an end is no runtime that can be followed for ever", "[cpython]") {
  Initialised cycle{{3, 12}};
  cycle.python.memory.put(cycle.main + cycle.python.layout.interpreter.next.offset, cycle.main);
  const auto reads = cycle.python.memory.reads;
  static_cast<void>(cycle.is_ready());
  CHECK(cycle.python.memory.reads < reads + 2000);
}

TEST_CASE("a runtime that ends says so, and may still run Python", "[cpython]") {
  for (const auto version : kinds) {
    Initialised ending{version};
    auto& runtime = ending.python.runtime;
    CHECK_FALSE(is_finalizing(ending.python.memory, runtime));
    ending.python.memory.put(runtime.finalizing, ending.thread);
    CHECK(is_finalizing(ending.python.memory, runtime));
    CHECK(ending.is_ready());
  }
}

TEST_CASE("a Python that does not say who ends it never ends", "[cpython]") {
  Initialised old{{2, 7}};
  old.python.runtime.finalizing = {};
  CHECK_FALSE(is_finalizing(old.python.memory, old.python.runtime));
  CHECK(old.is_ready());
}

TEST_CASE("what cannot be read does not end", "[cpython]") {
  Initialised python{{3, 12}};
  python.python.runtime.finalizing = {0x1234};
  CHECK_FALSE(is_finalizing(python.python.memory, python.python.runtime));
}

}  // namespace sampler
