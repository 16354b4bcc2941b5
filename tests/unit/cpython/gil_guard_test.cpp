#include <sys/syscall.h>

#include <cstring>
#include <map>
#include <vector>

#include "catch.h"
#include "fake_python.h"
#include "gil_words.h"
#include "sampler/cpython/gil.h"

namespace sampler {
namespace {

constexpr RemoteAddress main_gil{0x7f00'0001'0000}, second_gil{0x7f00'0002'0000}, third_gil{0x7f00'0003'0000};
constexpr RemoteAddress a{0xa000}, b{0xb000}, c{0xc000};

PythonRuntime runtime_of(PythonVersion version, RemoteAddress gil = main_gil) {
  PythonRuntime runtime;
  runtime.layout = not_owned(layout_of(version));
  runtime.gil.state = gil;
  return runtime;
}

/// The words of a GIL struct that is locked: who holds it and how often it changed hands.
void put_gil(Values& values, RemoteAddress gil, RemoteAddress holder, std::uint64_t switches) {
  const auto& layout = layout_of({3, 12}).gil;
  values[gil + layout.last_holder.offset] = holder.value;
  values[gil + layout.switch_number.offset] = switches;
  values[gil + layout.locked.offset] = 1;
}

/// As if each range had been read.
void read_all(const std::vector<RemoteRange>& ranges, const Values& values) {
  CHECK(fill(ranges, values) == values.size());
}

std::vector<RemoteAddress> addresses(const std::vector<RemoteRange>& ranges) {
  std::vector<RemoteAddress> found;
  for (const auto& range : ranges) found.push_back(range.from);
  return found;
}

std::vector<RemoteAddress> holders(const std::vector<GilState>& states) {
  std::vector<RemoteAddress> found;
  for (const auto& state : states) found.push_back(state.holder);
  return found;
}

/// Where a thread's futex is that waits for this GIL.
BlockedCall wait_for(RemoteAddress gil) {
  return {SYS_futex, (gil + layout_of({3, 12}).gil.cond.offset).value};
}

using Addresses = std::vector<RemoteAddress>;

}  // namespace

TEST_CASE("one GIL is read before and after, each into its own place", "[cpython]") {
  const GilGuard guard{runtime_of({3, 12})};
  CHECK(guard.has_gil());
  CHECK(addresses(guard.before()) == addresses(guard.after()));
  Values before, after;
  put_gil(before, main_gil, a, 5);
  put_gil(after, main_gil, b, 6);
  read_all(guard.before(), before);
  read_all(guard.after(), after);
  CHECK(guard.state_before() ==
        std::vector{GilState{.is_ready = true, .holder = a, .last_holder = a, .switches = 5}});
  CHECK(guard.state_after() ==
        std::vector{GilState{.is_ready = true, .holder = b, .last_holder = b, .switches = 6}});
}

TEST_CASE("every GIL is read, and the main interpreter's is the first", "[cpython]") {
  GilGuard guard{runtime_of({3, 12})};
  CHECK(guard.guard({third_gil, second_gil, main_gil}));
  Values before, after;
  put_gil(before, main_gil, a, 1);
  put_gil(before, second_gil, b, 2);
  put_gil(before, third_gil, c, 3);
  put_gil(after, main_gil, b, 4);
  put_gil(after, second_gil, c, 5);
  put_gil(after, third_gil, a, 6);
  read_all(guard.before(), before);
  read_all(guard.after(), after);
  CHECK(holders(guard.state_before()) == Addresses{a, c, b});
  CHECK(holders(guard.state_after()) == Addresses{b, a, c});
  CHECK(guard.state_before()[1].switches == 3U);
  CHECK(guard.state_after()[2].switches == 5U);
}

TEST_CASE("to guard what is guarded already changes nothing", "[cpython]") {
  GilGuard guard{runtime_of({3, 12})};
  CHECK_FALSE(guard.guard({}));
  CHECK_FALSE(guard.guard({main_gil}));
  CHECK(guard.before().size() == 1);
  CHECK(guard.guard({main_gil, second_gil}));
  CHECK(guard.before().size() == 2);
  Values before;
  put_gil(before, main_gil, a, 1);
  put_gil(before, second_gil, b, 2);
  read_all(guard.before(), before);
  CHECK_FALSE(guard.guard({second_gil, main_gil}));
  CHECK_FALSE(guard.guard({second_gil}));
  CHECK(holders(guard.state_before()) == Addresses{a, b});
}

TEST_CASE("interpreters that share a GIL have it read once", "[cpython]") {
  GilGuard guard{runtime_of({3, 12})};
  CHECK_FALSE(guard.guard({main_gil, main_gil, main_gil}));
  CHECK(guard.guard({second_gil, main_gil, second_gil}));
  CHECK(guard.before().size() == 2);
  CHECK(guard.state_after().size() == 2);
}

TEST_CASE("a GIL that is gone is read no more, and the others as before", "[cpython]") {
  GilGuard guard{runtime_of({3, 12})};
  REQUIRE(guard.guard({second_gil, third_gil}));
  CHECK(guard.guard({third_gil}));
  Values before;
  put_gil(before, main_gil, a, 1);
  put_gil(before, third_gil, c, 3);
  read_all(guard.before(), before);
  read_all(guard.after(), before);
  CHECK(holders(guard.state_before()) == Addresses{a, c});
  CHECK(guard.guard({}));
  CHECK(guard.before().size() == 1);
  CHECK(guard.after().size() == 1);
  CHECK(guard.state_after().size() == 1);
}

TEST_CASE("when other GILs are guarded nothing counts as read", "[cpython]") {
  GilGuard guard{runtime_of({3, 12})};
  Values before;
  put_gil(before, main_gil, a, 1);
  read_all(guard.before(), before);
  REQUIRE(guard.guard({second_gil}));
  CHECK(holders(guard.state_before()) == Addresses{{}, {}});
}

TEST_CASE("as many GILs as there are others before is still a change", "[cpython]") {
  GilGuard guard{runtime_of({3, 12})};
  REQUIRE(guard.guard({second_gil}));
  CHECK(guard.guard({third_gil}));
  CHECK(addresses(guard.before())[1] == third_gil + layout_of({3, 12}).gil.last_holder.offset);
}

TEST_CASE("a wait for any of the GILs is a wait for a GIL", "[cpython]") {
  GilGuard guard{runtime_of({3, 12})};
  CHECK(guard.is_wait_for_gil(wait_for(main_gil)));
  CHECK_FALSE(guard.is_wait_for_gil(wait_for(second_gil)));
  guard.guard({second_gil});
  CHECK(guard.is_wait_for_gil(wait_for(main_gil)));
  CHECK(guard.is_wait_for_gil(wait_for(second_gil)));
  CHECK_FALSE(guard.is_wait_for_gil(wait_for(third_gil)));
}

TEST_CASE("a free-threaded Python has no GIL to guard", "[cpython]") {
  GilGuard guard{runtime_of({3, 14, true}, {})};
  CHECK_FALSE(guard.has_gil());
  CHECK(guard.before().empty());
  CHECK(guard.after().empty());
  CHECK(guard.state_before().empty());
  CHECK(guard.state_after().empty());
  CHECK_FALSE(guard.guard({second_gil}));
  CHECK(guard.before().empty());
  CHECK_FALSE(guard.is_wait_for_gil(wait_for(second_gil)));
  CHECK_FALSE(guard.is_wait_for_gil({SYS_futex, 0}));
}

TEST_CASE("a Python with one GIL for all guards that one", "[cpython]") {
  const GilGuard in_runtime{runtime_of({3, 9})};
  CHECK(in_runtime.has_gil());
  CHECK(in_runtime.before().size() == 1);
  auto oldest = runtime_of({2, 7}, {});
  oldest.gil.current_thread = {0x6000};
  const GilGuard current_thread{oldest};
  CHECK(current_thread.has_gil());
  CHECK(addresses(current_thread.before()) == Addresses{{0x6000}});
  read_all(current_thread.before(), {{{0x6000}, c.value}});
  CHECK(holders(current_thread.state_before()) == Addresses{c});
}

TEST_CASE("who holds one of the GILs is a holder", "[cpython]") {
  const GilState of_a{.is_ready = true, .holder = a, .last_holder = a, .switches = 1};
  const GilState free_since_b{.is_ready = true, .holder = {}, .last_holder = b, .switches = 1};
  CHECK(is_holder({free_since_b, of_a}, a));
  CHECK_FALSE(is_holder({free_since_b, of_a}, b));
  CHECK_FALSE(is_holder({}, a));
}

}  // namespace sampler
