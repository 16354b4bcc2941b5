#include "sampler/cpython/gil.h"

#include <sys/syscall.h>

#include <cstring>

#include "catch.h"
#include "fake_python.h"
#include "gil_words.h"

namespace sampler {
namespace {

constexpr RemoteAddress state{0x7f00'0001'0000};
constexpr RemoteAddress holder{0x7f00'0002'0000};
constexpr RemoteAddress other{0x7f00'0003'0000};

PythonRuntime struct_runtime(PythonVersion version) {
  PythonRuntime runtime;
  runtime.layout = not_owned(layout_of(version));
  runtime.gil.state = state;
  return runtime;
}

PythonRuntime static_runtime() {
  PythonRuntime runtime;
  runtime.layout = not_owned(layout_of({3, 6}));
  runtime.gil.locked = {0x1000};
  runtime.gil.last_holder = {0x2000};
  runtime.gil.switch_number = {0x3000};
  runtime.gil.cond = {0x4000};
  runtime.gil.mutex = {0x5000};
  runtime.gil.current_thread = {0x6000};
  return runtime;
}

PythonRuntime oldest_runtime() {
  PythonRuntime runtime;
  runtime.layout = not_owned(layout_of({2, 7}));
  runtime.gil.current_thread = {0x6000};
  runtime.gil.lock_pointer = {0x7000};
  return runtime;
}

GilProbe probe_of(const PythonRuntime& runtime) {
  return {*runtime.layout, runtime.gil};
}

/// The words as if each range had been read: `values` by address.
GilProbe::Words read_words(const GilProbe& probe, const Values& values) {
  GilProbe::Words words;
  words.fill(std::byte{0xAA});
  CHECK(fill(probe.ranges(words), values) == values.size());
  return words;
}

/// Words of a GIL struct: who had it last, how often it changed hands, whether it is locked.
GilProbe::Words struct_words(const GilProbe& probe, RemoteAddress last, std::uint64_t switches,
                             std::int32_t locked) {
  const auto& gil = layout_of({3, 12}).gil;
  return read_words(probe, {{state + gil.last_holder.offset, last.value},
                            {state + gil.switch_number.offset, switches},
                            {state + gil.locked.offset, static_cast<std::uint32_t>(locked)}});
}

GilProbe::Words static_words(const GilProbe& probe, std::int32_t locked) {
  return read_words(probe, {{{0x1000}, static_cast<std::uint32_t>(locked)},
                            {{0x2000}, holder.value},
                            {{0x3000}, 9},
                            {{0x6000}, other.value}});
}

bool waits(const GilProbe& probe, RemoteAddress futex, const GilProbe::Words& words = {}) {
  return probe.is_wait_for_gil(BlockedCall{SYS_futex, futex.value}, words);
}

}  // namespace

TEST_CASE("a locked GIL is held by its last holder", "[cpython]") {
  const auto in_runtime = probe_of(struct_runtime({3, 9}));
  const auto in_interpreter = probe_of(struct_runtime({3, 12}));
  const GilState expected{.is_ready = true, .holder = holder, .last_holder = holder, .switches = 41};
  CHECK(in_runtime.decode(struct_words(in_runtime, holder, 41, 1)) == expected);
  CHECK(in_interpreter.decode(struct_words(in_interpreter, holder, 41, 1)) == expected);
}

TEST_CASE("an unlocked GIL has no holder but remembers the last", "[cpython]") {
  const auto in_runtime = probe_of(struct_runtime({3, 9}));
  const auto in_interpreter = probe_of(struct_runtime({3, 12}));
  const GilState expected{.is_ready = true, .holder = {}, .last_holder = holder, .switches = 41};
  CHECK(in_runtime.decode(struct_words(in_runtime, holder, 41, 0)) == expected);
  CHECK(in_interpreter.decode(struct_words(in_interpreter, holder, 41, 0)) == expected);
}

TEST_CASE("a GIL that is not made yet is not ready", "[cpython]") {
  const auto in_runtime = probe_of(struct_runtime({3, 9}));
  const auto in_interpreter = probe_of(struct_runtime({3, 12}));
  CHECK_FALSE(in_runtime.decode(struct_words(in_runtime, {}, 0, -1)).is_ready);
  CHECK_FALSE(in_interpreter.decode(struct_words(in_interpreter, {}, 0, -1)).is_ready);
}

TEST_CASE("a static GIL is decoded like a struct", "[cpython]") {
  const auto probe = probe_of(static_runtime());
  CHECK(probe.decode(static_words(probe, 1)) ==
        GilState{.is_ready = true, .holder = holder, .last_holder = holder, .switches = 9});
  CHECK(probe.decode(static_words(probe, 0)) ==
        GilState{.is_ready = true, .holder = {}, .last_holder = holder, .switches = 9});
}

TEST_CASE("a process that never made a static GIL is run by the current thread", "[cpython]") {
  const auto probe = probe_of(static_runtime());
  const auto gil = probe.decode(static_words(probe, -1));
  CHECK(gil.is_ready);
  CHECK(gil.holder == other);
  CHECK(gil.last_holder == other);
}

TEST_CASE("the oldest GIL is held by the current thread and counts nothing", "[cpython]") {
  const auto probe = probe_of(oldest_runtime());
  const auto words = read_words(probe, {{{0x6000}, holder.value}, {{0x7000}, 0x8000}});
  CHECK(probe.decode(words) ==
        GilState{.is_ready = true, .holder = holder, .last_holder = {}, .switches = std::nullopt});
}

TEST_CASE("the oldest GIL without a current thread is free", "[cpython]") {
  const auto probe = probe_of(oldest_runtime());
  const auto words = read_words(probe, {{{0x6000}, 0}, {{0x7000}, 0x8000}});
  CHECK(probe.decode(words).holder.is_null());
}

TEST_CASE("a static GIL whose symbols are stripped is read as the oldest kind", "[cpython]") {
  auto runtime = static_runtime();
  runtime.gil = {};
  runtime.gil.current_thread = {0x6000};
  const auto probe = probe_of(runtime);
  const auto words = read_words(probe, {{{0x6000}, holder.value}});
  CHECK(probe.decode(words) ==
        GilState{.is_ready = true, .holder = holder, .last_holder = {}, .switches = std::nullopt});
  CHECK_FALSE(waits(probe, {0}, words));
  CHECK_FALSE(waits(probe, {16}, words));
}

TEST_CASE("words that are not read are 0 and not of the last time", "[cpython]") {
  auto runtime = oldest_runtime();
  runtime.gil.lock_pointer = {};
  const auto probe = probe_of(runtime);
  GilProbe::Words words;
  words.fill(std::byte{0xAA});
  CHECK(probe.ranges(words).size() == 1);
  CHECK(words == GilProbe::Words{});
}

TEST_CASE("a wait inside the GIL's condition is a wait for the GIL", "[cpython]") {
  const auto& gil = layout_of({3, 12}).gil;
  const auto probe = probe_of(struct_runtime({3, 12}));
  CHECK(waits(probe, state + gil.cond.offset));
  CHECK(waits(probe, state + (gil.switch_cond.offset - 1)));
}

TEST_CASE("a wait to have handed the GIL over is no wait for it", "[cpython]") {
  const auto& gil = layout_of({3, 9}).gil;
  const auto probe = probe_of(struct_runtime({3, 9}));
  CHECK(waits(probe, state + gil.cond.offset));
  CHECK_FALSE(waits(probe, state + gil.switch_cond.offset));
  CHECK_FALSE(waits(probe, state + (gil.cond.offset - 1)));
  CHECK_FALSE(waits(probe, {0}));
}

TEST_CASE("a wait in another call is no wait for the GIL", "[cpython]") {
  const auto inside = state + layout_of({3, 12}).gil.cond.offset;
  const auto probe = probe_of(struct_runtime({3, 12}));
  CHECK_FALSE(probe.is_wait_for_gil(BlockedCall{SYS_read, inside.value}, {}));
}

TEST_CASE("a wait for a static GIL is in its condition or its mutex", "[cpython]") {
  const auto probe = probe_of(static_runtime());
  CHECK(waits(probe, {0x4000}));
  CHECK(waits(probe, {0x4000 + 47}));
  CHECK_FALSE(waits(probe, {0x4000 + 48}));
  CHECK_FALSE(waits(probe, {0x3fff}));
  CHECK(waits(probe, {0x5000}));
  CHECK(waits(probe, {0x5000 + 39}));
  CHECK_FALSE(waits(probe, {0x5000 + 40}));
}

TEST_CASE("a wait for the oldest GIL is in the semaphore that its lock points to", "[cpython]") {
  const auto probe = probe_of(oldest_runtime());
  const auto words = read_words(probe, {{{0x6000}, holder.value}, {{0x7000}, 0x8000}});
  CHECK(waits(probe, {0x8000}, words));
  CHECK(waits(probe, {0x8000 + 31}, words));
  CHECK_FALSE(waits(probe, {0x8000 + 32}, words));
  CHECK_FALSE(waits(probe, {0x7000}, words));
}

TEST_CASE("nobody waits for the oldest GIL before it is made", "[cpython]") {
  const auto probe = probe_of(oldest_runtime());
  const auto words = read_words(probe, {{{0x6000}, holder.value}, {{0x7000}, 0}});
  CHECK_FALSE(waits(probe, {0}, words));
  CHECK_FALSE(waits(probe, {8}, words));
}

}  // namespace sampler
