#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "catch.h"
#include "sampler/process/process.h"
#include "sampler/process/thread_watch.h"
#include "sampler/process/tracer.h"
#include "traced_child.h"

namespace sampler {
namespace {

using namespace std::chrono_literals;

/// A child with threads that count up as fast as they can, each in its own number.
class CountingThreads {
 public:
  static constexpr std::size_t count = 4;
  using Counts = std::array<std::uint64_t, count>;

  CountingThreads()
      : child_{[&] {
          std::vector<std::thread> threads;
          for (std::size_t i = 0; i < count; ++i) threads.emplace_back([&, i] { run(i); });
          for (auto& thread : threads) thread.join();
        }} {
    REQUIRE(comes_true([&] { return make_progress_since({}); }));
    for (std::size_t i = 0; i < count; ++i) tids_.push_back(Tid{shared_->tids[i].load()});
  }

  [[nodiscard]] const std::vector<Tid>& tids() const noexcept { return tids_; }
  [[nodiscard]] Counts progress() const {
    Counts now{};
    std::copy(shared_->progress.begin(), shared_->progress.end(), now.begin());
    return now;
  }
  /// Whether every thread counts.
  [[nodiscard]] bool make_progress() const {
    const auto before = progress();
    return comes_true([&] { return make_progress_since(before); });
  }
  /// What the kernel says of the threads: "tttt" where all are held.
  [[nodiscard]] std::string states() const {
    std::string states;
    for (const auto tid : tids_) states += state_of(ThreadWatch{child_.pid(), tid}).value_or('?');
    return states;
  }
  [[nodiscard]] bool are_traced() const {
    return std::any_of(tids_.begin(), tids_.end(), [](Tid tid) { return tracer_of(tid) == Pid{::getpid()}; });
  }
  /// Ends one thread, and waits until it is gone.
  void end_thread(std::size_t index) const {
    shared_->is_over[index] = true;
    REQUIRE(comes_true([&] { return !state_of(ThreadWatch{child_.pid(), tids_[index]}); }));
  }

 private:
  struct Numbers {
    std::array<std::atomic<pid_t>, count> tids{};
    std::array<std::atomic<std::uint64_t>, count> progress{};
    std::array<std::atomic<bool>, count> is_over{};
  };

  void run(std::size_t index) const {
    shared_->tids[index] = static_cast<pid_t>(::syscall(SYS_gettid));
    while (!shared_->is_over[index]) shared_->progress[index].fetch_add(1);
  }
  [[nodiscard]] bool make_progress_since(const Counts& before) const {
    const auto now = progress();
    return std::equal(now.begin(), now.end(), before.begin(), std::greater<>{});
  }

  Shared<Numbers> shared_;
  TestChild child_;
  std::vector<Tid> tids_;
};

/// Long enough for every stop of a thread that can stop.
constexpr std::chrono::microseconds long_spin = 2s;

bool is_held(const StopAttempt& attempt) {
  return std::holds_alternative<HeldThread>(attempt);
}
bool is_pending(const StopAttempt& attempt) {
  return std::holds_alternative<StopPending>(attempt);
}
/// Why an attempt was refused; nothing where it was not.
std::optional<Refusal> refusal(const StopAttempt& attempt) {
  const auto* refused = std::get_if<StopRefused>(&attempt);
  return refused != nullptr ? std::optional{refused->why} : std::nullopt;
}
bool are_held(const std::vector<StopAttempt>& attempts) {
  return std::all_of(attempts.begin(), attempts.end(), is_held);
}

}  // namespace

TEST_CASE("threads that are held together stand still together and run on afterwards", "[process]") {
  const CountingThreads threads;
  Tracer tracer;
  {
    const auto attempts = tracer.hold_all(threads.tids(), long_spin);
    REQUIRE(attempts.size() == CountingThreads::count);
    REQUIRE(are_held(attempts));
    const auto before = threads.progress();
    CHECK(threads.states() == "tttt");
    CHECK(threads.are_traced());
    const BusyChild free_child;
    REQUIRE(comes_true([&] { return free_child.progress() > 100'000; }));
    CHECK(threads.progress() == before);
  }
  CHECK(threads.make_progress());
  CHECK_FALSE(tracer.has_pending());
  CHECK_FALSE(threads.are_traced());
}

TEST_CASE("threads can be held together again and again", "[process]") {
  const CountingThreads threads;
  Tracer tracer;
  for (int i = 0; i < 100; ++i) {
    const auto attempts = tracer.hold_all(threads.tids(), long_spin);
    REQUIRE(are_held(attempts));
    const auto before = threads.progress();
    REQUIRE(threads.progress() == before);
  }
  CHECK(threads.make_progress());
}

TEST_CASE("only the threads that were asked for are held", "[process]") {
  const CountingThreads threads;
  Tracer tracer;
  const auto attempts = tracer.hold_all(std::span{threads.tids()}.first(2), long_spin);
  REQUIRE(are_held(attempts));
  const auto before = threads.progress();
  CHECK(comes_true([&] {
    const auto now = threads.progress();
    return now[2] > before[2] && now[3] > before[3];
  }));
  CHECK(threads.progress()[0] == before[0]);
  CHECK(threads.progress()[1] == before[1]);
}

TEST_CASE("one that cannot stop and one that has ended do not keep the others from being held", "[process]") {
  TestChild ended{[] {}};
  ended.end();
  const BusyChild first, last;
  const VforkingChild stuck;
  Tracer tracer;
  {
    const std::array tids{ended.tid(), first.tid(), stuck.tid(), last.tid()};
    const auto attempts = tracer.hold_all(tids, 1500ms);
    REQUIRE(attempts.size() == 4);
    CHECK(refusal(attempts[0]) == Refusal::ended);
    CHECK(is_held(attempts[1]));
    CHECK(is_pending(attempts[2]));
    CHECK(is_held(attempts[3]));
    CHECK(tracer.is_pending(stuck.tid()));
    CHECK_FALSE(tracer.is_pending(ended.tid()));
    CHECK_FALSE(tracer.is_pending(first.tid()));
    const auto of_first = first.progress();
    const auto of_last = last.progress();
    const BusyChild free_child;
    REQUIRE(comes_true([&] { return free_child.progress() > 100'000; }));
    CHECK(first.progress() == of_first);
    CHECK(last.progress() == of_last);
  }
  CHECK(first.makes_progress());
  CHECK(last.makes_progress());
  CHECK(tracer.collect().empty());
  stuck.let_go();
  {
    const auto event = next_event(tracer, stuck.tid());
    CHECK(event.held);
    CHECK_FALSE(stuck.has_gone_on());
  }
  CHECK(comes_true([&] { return stuck.has_gone_on(); }));
  CHECK_FALSE(tracer.has_pending());
}

TEST_CASE("a thread that has ended in a process that lives is refused, and its neighbours are held",
          "[process]") {
  const CountingThreads threads;
  threads.end_thread(1);
  Tracer tracer;
  {
    const auto attempts = tracer.hold_all(threads.tids(), long_spin);
    CHECK(refusal(attempts[1]) == Refusal::ended);
    CHECK((is_held(attempts[0]) && is_held(attempts[2]) && is_held(attempts[3])));
  }
  CHECK_FALSE(tracer.has_pending());
  CHECK(tracer.collect().empty());
  threads.end_thread(0);
  threads.end_thread(2);
  threads.end_thread(3);
}

TEST_CASE("all are asked to stop before the first is waited for", "[process]") {
  const VforkingChild stuck;
  const BusyChild asked, free_child;
  Tracer tracer;
  const auto before = asked.progress();
  const auto free_before = free_child.progress();
  const auto attempts = tracer.hold_all(std::array{stuck.tid(), asked.tid()}, 1500ms);
  const auto counted = asked.progress() - before;
  const auto free_counted = free_child.progress() - free_before;
  CHECK(is_pending(attempts[0]));
  CHECK(is_held(attempts[1]));
  CHECK(counted < free_counted / 8);
  stuck.let_go();
  CHECK(next_event(tracer, stuck.tid()).held);
}

TEST_CASE("stops that nobody waits for are collected when they come", "[process]") {
  const CountingThreads threads;
  Tracer tracer;
  {
    const auto attempts = tracer.hold_all(threads.tids(), 0us);
    std::size_t pending = 0;
    for (std::size_t i = 0; i < attempts.size(); ++i) {
      CHECK_FALSE(refusal(attempts[i]));
      CHECK(tracer.is_pending(threads.tids()[i]) == is_pending(attempts[i]));
      pending += is_pending(attempts[i]) ? 1U : 0U;
    }
    CHECK(tracer.has_pending() == (pending > 0));
    std::vector<WaitEvent> events;
    REQUIRE(comes_true([&] {
      for (auto& event : tracer.collect()) events.push_back(std::move(event));
      return events.size() == pending;
    }));
    CHECK(std::all_of(events.begin(), events.end(),
                      [](const WaitEvent& event) { return event.held.has_value(); }));
    CHECK(threads.states() == "tttt");
    CHECK_FALSE(tracer.has_pending());
  }
  CHECK(threads.make_progress());
}

TEST_CASE("a thread whose stop is pending already is refused and stays pending", "[process]") {
  const VforkingChild stuck;
  const BusyChild busy;
  Tracer tracer;
  REQUIRE(is_pending(tracer.hold(stuck.tid())));
  const auto attempts = tracer.hold_all(std::array{stuck.tid(), busy.tid()}, long_spin);
  CHECK(refusal(attempts[0]) == Refusal::traced);
  CHECK(is_held(attempts[1]));
  CHECK(tracer.is_pending(stuck.tid()));
  stuck.let_go();
  CHECK(next_event(tracer, stuck.tid()).held);
}

TEST_CASE("the end of one of several threads that are asked to stop is not lost", "[process]") {
  Tracer tracer;
  const BusyChild survivor;
  for (int i = 0; i < 20; ++i) {
    const BusyChild killed;
    killed.send(SIGKILL);
    {
      const auto attempts = tracer.hold_all(std::array{killed.tid(), survivor.tid()}, long_spin);
      REQUIRE_FALSE(is_held(attempts[0]));
      REQUIRE(is_held(attempts[1]));
    }
    const auto event = next_event(tracer, killed.tid());
    REQUIRE_FALSE(event.held);
    REQUIRE(WTERMSIG(event.exit_status) == SIGKILL);
    REQUIRE_FALSE(tracer.has_pending());
  }
  CHECK(survivor.makes_progress());
}

TEST_CASE("signals around holds of several are neither lost nor doubled", "[process]") {
  const BusyChild one, other;
  Tracer tracer;
  for (std::uint64_t i = 1; i <= 100; ++i) {
    one.send(SIGUSR1);
    other.send(SIGUSR1);
    { REQUIRE(are_held(tracer.hold_all(std::array{one.tid(), other.tid()}, long_spin))); }
    REQUIRE(comes_true([&] { return one.signals() >= i && other.signals() >= i; }));
    REQUIRE(one.signals() == i);
    REQUIRE(other.signals() == i);
  }
}

TEST_CASE("to hold nobody is nothing to wait for", "[process]") {
  Tracer tracer;
  const auto start = std::chrono::steady_clock::now();
  CHECK(tracer.hold_all({}, long_spin).empty());
  CHECK(std::chrono::steady_clock::now() - start < 1s);
  CHECK_FALSE(tracer.has_pending());
}

}  // namespace sampler
