#include "sampler/cpython/thread_lister.h"

#include "catch.h"
#include "fake_python.h"

namespace sampler {
namespace {

std::vector<RemoteAddress> states(const ThreadList& list) {
  std::vector<RemoteAddress> found;
  for (const auto& thread : list.threads) found.push_back(thread.state);
  return found;
}

/// One interpreter with two threads.
struct TwoThreads {
  FakePython python{{3, 11}};
  RemoteAddress interpreter = python.add_interpreter();
  RemoteAddress inner = python.add_listed_thread(interpreter);
  RemoteAddress outer = python.add_listed_thread(interpreter);

  [[nodiscard]] ThreadList list() { return list_threads(python.memory, python.runtime); }
  void set_next(RemoteAddress thread, RemoteAddress next) {
    python.memory.put(thread + python.layout.thread.next.offset, next);
  }
};

}  // namespace

TEST_CASE("the threads of an interpreter are listed in its order", "[cpython]") {
  TwoThreads two;
  const auto list = two.list();
  CHECK_FALSE(list.is_damaged);
  CHECK(states(list) == std::vector{two.outer, two.inner});
}

TEST_CASE("the threads of two interpreters are listed, the newer interpreter's first", "[cpython]") {
  TwoThreads two;
  const auto second = two.python.add_interpreter();
  const auto theirs = two.python.add_listed_thread(second);
  const auto list = two.list();
  CHECK_FALSE(list.is_damaged);
  CHECK(states(list) == std::vector{theirs, two.outer, two.inner});
  CHECK(list.oldest == std::vector{theirs, two.inner});
}

TEST_CASE("an interpreter without threads and a runtime without interpreters are not damaged", "[cpython]") {
  FakePython python{{3, 9}};
  const auto none = list_threads(python.memory, python.runtime);
  CHECK_FALSE(none.is_damaged);
  CHECK(none.threads.empty());
  python.add_interpreter();
  const auto empty = list_threads(python.memory, python.runtime);
  CHECK_FALSE(empty.is_damaged);
  CHECK(empty.threads.empty());
}

TEST_CASE("a thread of a foreign interpreter is damage, what came before it is kept", "[cpython]") {
  TwoThreads two;
  two.python.memory.put(two.inner + two.python.layout.thread.interpreter.offset, RemoteAddress{0x1234});
  const auto list = two.list();
  CHECK(list.is_damaged);
  CHECK(states(list) == std::vector{two.outer});
}

TEST_CASE("a cycle of threads is damage and ends", "[cpython]") {
  TwoThreads two;
  two.set_next(two.inner, two.outer);
  const auto list = two.list();
  CHECK(list.is_damaged);
  CHECK(list.threads.size() == most_threads);
}

TEST_CASE("a cycle of interpreters is damage and ends", "[cpython]") {
  FakePython python{{3, 12}};
  const auto interpreter = python.add_interpreter();
  python.memory.put(interpreter + python.layout.interpreter.next.offset, interpreter);
  CHECK(list_threads(python.memory, python.runtime).is_damaged);
  CHECK(python.memory.reads < 10'000);
}

TEST_CASE("a cycle of interpreters with threads is bounded by the threads", "[cpython]") {
  TwoThreads two;
  two.python.memory.put(two.interpreter + two.python.layout.interpreter.next.offset, two.interpreter);
  const auto list = two.list();
  CHECK(list.is_damaged);
  CHECK(list.threads.size() <= most_threads);
}

TEST_CASE("a thread that cannot be read is damage, what came before it is kept", "[cpython]") {
  TwoThreads two;
  two.python.memory.remove(two.inner);
  const auto list = two.list();
  CHECK(list.is_damaged);
  CHECK(states(list) == std::vector{two.outer});
}

TEST_CASE("an interpreter that cannot be read is damage", "[cpython]") {
  TwoThreads two;
  two.python.memory.remove(two.interpreter);
  CHECK(two.list().is_damaged);
}

TEST_CASE("a list whose head cannot be read is damage", "[cpython]") {
  TwoThreads two;
  two.python.memory.remove(two.python.runtime.interpreters_head);
  const auto list = two.list();
  CHECK(list.is_damaged);
  CHECK(list.threads.empty());
}

TEST_CASE("a thread's number is the one glibc keeps, where that is known", "[cpython]") {
  TwoThreads two;
  auto& python = two.python;
  const auto pthread = python.memory.add(1024);
  python.memory.put(pthread + 720, std::uint32_t{4243});
  python.memory.put(two.outer + python.layout.thread.thread_id.offset, pthread);
  python.memory.put(two.outer + python.layout.thread.native_thread_id.offset, std::uint64_t{17});
  python.runtime.tid_offset = 720;
  const auto list = two.list();
  REQUIRE(list.threads.size() == 2);
  CHECK(list.threads[0].tid == Tid{4243});
  CHECK(list.threads[1].tid == Tid{});
}

TEST_CASE("a thread whose pthread cannot be read has no number but is listed", "[cpython]") {
  TwoThreads two;
  two.python.memory.put(two.outer + two.python.layout.thread.thread_id.offset, std::uint64_t{0x1234});
  two.python.runtime.tid_offset = 720;
  const auto list = two.list();
  CHECK_FALSE(list.is_damaged);
  REQUIRE(list.threads.size() == 2);
  CHECK(list.threads[0].tid == Tid{});
}

TEST_CASE("a thread's number is CPython's own where glibc's is not known", "[cpython]") {
  TwoThreads two;
  two.python.memory.put(two.outer + two.python.layout.thread.native_thread_id.offset, std::uint64_t{4243});
  const auto list = two.list();
  REQUIRE(list.threads.size() == 2);
  CHECK(list.threads[0].tid == Tid{4243});
}

TEST_CASE("a number that no thread can have is none", "[cpython]") {
  TwoThreads two;
  const auto field = two.python.layout.thread.native_thread_id.offset;
  two.python.memory.put(two.outer + field, std::uint64_t{(1U << 22U) + 1});
  two.python.memory.put(two.inner + field, std::uint64_t{1} << 40U);
  const auto list = two.list();
  REQUIRE(list.threads.size() == 2);
  CHECK(list.threads[0].tid == Tid{});
  CHECK(list.threads[1].tid == Tid{});
}

TEST_CASE("a Python that keeps no number of its own has none without glibc's", "[cpython]") {
  FakePython python{{3, 9}};
  python.add_listed_thread(python.add_interpreter());
  const auto list = list_threads(python.memory, python.runtime);
  REQUIRE(list.threads.size() == 1);
  CHECK(list.threads[0].tid == Tid{});
}

}  // namespace sampler
