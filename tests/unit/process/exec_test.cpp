#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <thread>
#include <variant>

#include "catch.h"
#include "sampler/process/thread_watch.h"
#include "sampler/process/tracer.h"
#include "traced_child.h"

namespace sampler {
namespace {

using namespace std::chrono_literals;

/// A child of three threads, one of which executes another program when it is told to. The others count.
class ExecutingChild {
 public:
  ExecutingChild()
      : child_{[&] {
          std::thread counting{[&] {
            shared_->counting = static_cast<pid_t>(::syscall(SYS_gettid));
            for (;;) shared_->progress.fetch_add(1);
          }};
          std::thread executing{[&] {
            shared_->executing = static_cast<pid_t>(::syscall(SYS_gettid));
            (void)go_.take();
            ::execl("/bin/sleep", "sleep", "1000", nullptr);
          }};
          for (;;) shared_->progress.fetch_add(1);
        }} {
    REQUIRE(comes_true([&] { return shared_->counting != 0 && shared_->executing != 0; }));
  }

  [[nodiscard]] Tid first() const noexcept { return child_.tid(); }
  [[nodiscard]] Tid counting() const noexcept { return Tid{shared_->counting.load()}; }
  [[nodiscard]] Tid executing() const noexcept { return Tid{shared_->executing.load()}; }
  /// From now on the exec waits for the counting thread, which has been killed and is traced.
  void execute() const {
    const ThreadWatch watch{child_.pid(), counting()};
    go_.give();
    REQUIRE(comes_true([&] {
      const auto state = state_of(watch);
      return !state || *state == 'Z' || *state == 'X';
    }));
  }
  [[nodiscard]] bool has_executed() const { return state_of(ThreadWatch{child_.pid(), first()}) == 'S'; }

 private:
  struct Numbers {
    std::atomic<pid_t> counting{0}, executing{0};
    std::atomic<std::uint64_t> progress{0};
  };

  Pipe go_;
  Shared<Numbers> shared_;
  TestChild child_;
};

constexpr std::chrono::microseconds long_spin = 2s;

}  // namespace

TEST_CASE("an exec that waits for a thread that we hold does not keep us waiting", "[process]") {
  const ExecutingChild child;
  const BusyChild busy;
  Tracer tracer;
  const auto held = tracer.hold(child.counting(), long_spin);
  REQUIRE(std::holds_alternative<HeldThread>(held));
  child.execute();
  {
    const auto attempts = tracer.hold_all(std::array{child.first(), busy.tid()}, long_spin);
    CHECK(std::holds_alternative<HeldThread>(attempts[1]));
  }
  CHECK(comes_true([&] { return child.has_executed(); }));
}

TEST_CASE("an exec that waits for a thread that was held keeps nobody waiting", "[process]") {
  const ExecutingChild child;
  Tracer tracer;
  {
    const auto held = tracer.hold(child.counting(), long_spin);
    REQUIRE(std::holds_alternative<HeldThread>(held));
    child.execute();
  }
  (void)tracer.hold(child.first(), 0us);
  CHECK(comes_true([&] {
    (void)tracer.collect();
    return child.has_executed();
  }));
}

}  // namespace sampler
