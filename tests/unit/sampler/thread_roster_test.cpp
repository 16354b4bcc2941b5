#include "sampler/sampler/thread_roster.h"

#include <fmt/format.h>
#include <unistd.h>

#include <future>
#include <thread>

#include "../process/test_child.h"
#include "catch.h"
#include "fake_python.h"

namespace sampler {
namespace {

/// A thread of ours that only lives.
class LivingThread {
 public:
  LivingThread() { told_.get_future().wait(); }
  LivingThread(const LivingThread&) = delete;
  LivingThread& operator=(const LivingThread&) = delete;
  ~LivingThread() { end(); }

  [[nodiscard]] Tid tid() const noexcept { return tid_; }
  void end() {
    if (!thread_.joinable()) return;
    ended_.set_value();
    thread_.join();
    // The kernel may take a moment longer to forget it.
    REQUIRE(comes_true(
        [&] { return ::access(fmt::format("/proc/self/task/{}", number(tid_)).c_str(), F_OK) != 0; }));
  }

 private:
  std::promise<void> told_, ended_;
  Tid tid_{};
  std::thread thread_{[this] {
    tid_ = Tid{::gettid()};
    told_.set_value();
    ended_.get_future().wait();
  }};
};

/// The roster of a process with one interpreter and two threads, once it is listed.
struct TwoListed {
  const Tid first{::getpid()};
  LivingThread second, third;
  FakePython python{{3, 12}};
  RemoteAddress interpreter = python.add_interpreter();
  RemoteAddress inner = python.add_listed_thread(interpreter);
  RemoteAddress outer = python.add_listed_thread(interpreter);
  RemoteAddress runs;  // who has the GIL
  ThreadRoster roster{Pid{::getpid()}, python.runtime};

  TwoListed() {
    name(inner, first);
    name(outer, second.tid());
    // The first list may be cut short as well as not.
    REQUIRE_FALSE(update());
    REQUIRE(update());
    REQUIRE(roster.has_other_interpreters());
    REQUIRE(update());
  }
  void name(RemoteAddress state, Tid tid) {
    python.memory.put(state + python.layout.thread.native_thread_id.offset,
                      static_cast<std::uint64_t>(number(tid)));
  }
  [[nodiscard]] bool update() {
    return roster.update(python.memory, [&](RemoteAddress state) { return state == runs; });
  }
  void give_frame(RemoteAddress state) {
    const auto cframe = python.memory.add(64);
    python.memory.put(state + python.layout.thread.cframe.offset, cframe);
    python.memory.put(cframe + python.layout.cframe.current_frame.offset, RemoteAddress{0x7000});
  }
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
  CHECK(two.thread(two.inner).tid == two.first);
  CHECK(two.thread(two.outer).tid == two.second.tid());
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
  two.name(two.inner, two.third.tid());
  CHECK(two.roster.names_another(two.python.memory, thread));
  CHECK(two.roster.has(thread));
  REQUIRE(two.update());
  CHECK_FALSE(two.roster.has(thread));
}

TEST_CASE("a thread state that was made since the list is found", "[sampler]") {
  TwoListed two;
  CHECK(two.roster.list_new(two.python.memory).empty());
  const auto fresh = two.python.add_listed_thread(two.interpreter);
  two.name(fresh, two.third.tid());
  const auto found = two.roster.list_new(two.python.memory);
  REQUIRE(found.size() == 1);
  CHECK(found.front().state == fresh);
  CHECK(found.front().tid == two.third.tid());
  CHECK(two.roster.threads().size() == 2);
}

TEST_CASE("the state of a thread that has ended is left out, and counted where it has a frame", "[sampler]") {
  TwoListed two;
  two.second.end();
  REQUIRE(two.update());
  CHECK(two.roster.threads().size() == 1);
  CHECK(two.roster.left_out() == 0);
  two.give_frame(two.outer);
  REQUIRE(two.update());
  CHECK(two.roster.left_out() == 0);  // it may be missing for once
  REQUIRE(two.update());
  CHECK(two.roster.left_out() == 1);
  CHECK(two.roster.has_all_threads() == false);  // there is a third
}

TEST_CASE("a state that names nobody and runs is the first thread's, where no other is", "[sampler]") {
  constexpr Tid nobody{1 << 22};
  TwoListed two;
  two.name(two.inner, nobody);
  two.name(two.outer, nobody);
  REQUIRE(two.update());
  CHECK(two.roster.threads().empty());
  two.runs = two.inner;
  REQUIRE(two.update());
  REQUIRE(two.roster.threads().size() == 1);
  const auto thread = two.thread(two.inner);
  CHECK(thread.tid == two.first);
  CHECK(two.roster.is_renumbered(thread));
  CHECK_FALSE(two.roster.names_another(two.python.memory, thread));
  two.runs = {};  // once found it stays
  REQUIRE(two.update());
  CHECK(two.thread(two.inner).tid == two.first);
  // The state is another thread's by now.
  two.name(two.inner, two.third.tid());
  CHECK(two.roster.names_another(two.python.memory, thread));
}

TEST_CASE("a state that names nobody is nobody's while the first thread has one", "[sampler]") {
  TwoListed two;
  two.name(two.outer, Tid{1 << 22});
  two.runs = two.outer;
  REQUIRE(two.update());
  CHECK(two.roster.threads().size() == 1);
  CHECK(two.thread(two.inner).tid == two.first);
}

}  // namespace sampler
