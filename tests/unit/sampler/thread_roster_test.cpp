#include "sampler/sampler/thread_roster.h"

#include <unistd.h>

#include "catch.h"
#include "fake_python.h"

namespace sampler {
namespace {

/// The roster of a process with one interpreter and two threads, once it is listed.
struct TwoListed {
  FakePython python{{3, 12}};
  RemoteAddress interpreter = python.add_interpreter();
  RemoteAddress inner = python.add_listed_thread(interpreter);
  RemoteAddress outer = python.add_listed_thread(interpreter);
  ThreadRoster roster{Pid{::getpid()}, python.runtime};

  TwoListed() {
    name(inner, 101);
    name(outer, 102);
    // The first list may be cut short as well as not.
    REQUIRE_FALSE(update());
    REQUIRE(update());
    REQUIRE(roster.has_other_interpreters());
    REQUIRE(update());
  }
  void name(RemoteAddress state, std::uint64_t number) {
    python.memory.put(state + python.layout.thread.native_thread_id.offset, number);
  }
  [[nodiscard]] bool update() { return roster.update(python.memory); }
  [[nodiscard]] PythonThread thread(RemoteAddress state) const {
    const auto* const found = find_thread(roster.threads(), state);
    REQUIRE(found != nullptr);
    return *found;
  }
};

}  // namespace

TEST_CASE("a roster has all thread states, with the numbers that they name", "[sampler]") {
  const TwoListed two;
  CHECK(two.roster.threads().size() == 2);
  CHECK(two.thread(two.inner).tid == Tid{101});
  CHECK(two.thread(two.outer).tid == Tid{102});
  CHECK(two.roster.is_single());
  CHECK_FALSE(two.roster.has_other_interpreters());
}

TEST_CASE("a list that ends at another state than before may be cut short, and is not taken", "[sampler]") {
  TwoListed two;
  two.python.memory.put(two.outer + two.python.layout.thread.next.offset, RemoteAddress{});
  CHECK_FALSE(two.update());
  CHECK(two.roster.threads().size() == 2);
  // It ends there again: that is how it is.
  CHECK(two.update());
  CHECK(two.roster.threads().size() == 1);
}

TEST_CASE("a damaged list is not taken", "[sampler]") {
  TwoListed two;
  two.python.memory.remove(two.inner);
  CHECK_FALSE(two.update());
  CHECK_FALSE(two.update());
  CHECK(two.roster.threads().size() == 2);
}

TEST_CASE("a new interpreter is told once", "[sampler]") {
  TwoListed two;
  CHECK(two.roster.is_newest_interpreter(two.python.memory));
  two.python.add_interpreter();
  CHECK_FALSE(two.roster.is_newest_interpreter(two.python.memory));
  static_cast<void>(two.update());
  REQUIRE(two.update());
  CHECK(two.roster.has_other_interpreters());
  CHECK(two.roster.is_newest_interpreter(two.python.memory));
  CHECK_FALSE(two.roster.is_single());
  REQUIRE(two.update());
  CHECK_FALSE(two.roster.has_other_interpreters());
}

TEST_CASE("a thread state that names another thread by now is told", "[sampler]") {
  TwoListed two;
  const auto thread = two.thread(two.inner);
  CHECK_FALSE(two.roster.names_another(two.python.memory, thread));
  two.name(two.inner, 103);
  CHECK(two.roster.names_another(two.python.memory, thread));
  CHECK(two.roster.has(thread));
  REQUIRE(two.update());
  CHECK_FALSE(two.roster.has(thread));
}

TEST_CASE("a thread state that was made since the list is found", "[sampler]") {
  TwoListed two;
  CHECK(two.roster.list_new(two.python.memory).empty());
  const auto fresh = two.python.add_listed_thread(two.interpreter);
  two.name(fresh, 103);
  const auto found = two.roster.list_new(two.python.memory);
  REQUIRE(found.size() == 1);
  CHECK(found.front().state == fresh);
  CHECK(found.front().tid == Tid{103});
  CHECK(two.roster.threads().size() == 2);
}

}  // namespace sampler
