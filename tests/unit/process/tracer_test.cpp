#include "sampler/process/tracer.h"

#include <sys/epoll.h>
#include <sys/ptrace.h>

#include <optional>

#include "call_filter.h"
#include "catch.h"
#include "sampler/process/process.h"
#include "sampler/process/thread_watch.h"
#include "traced_child.h"

namespace sampler {
namespace {

/// A hold, waited for where it is pending.
HeldThread hold(Tracer& tracer, Tid tid) {
  auto attempt = tracer.hold(tid);
  if (auto* held = std::get_if<HeldThread>(&attempt)) return std::move(*held);
  REQUIRE(std::holds_alternative<StopPending>(attempt));
  auto event = next_event(tracer, tid);
  REQUIRE(event.held);
  return std::move(*event.held);
}

/// Why a hold was refused; nothing where it was not.
std::optional<Refusal> refusal(Tracer& tracer, Tid tid) {
  const auto attempt = tracer.hold(tid);
  const auto* refused = std::get_if<StopRefused>(&attempt);
  return refused != nullptr ? std::optional{refused->why} : std::nullopt;
}

/// Whether a stop cuts short the call that a child is blocked in.
template <class Call>
bool is_cut_short(Call call) {
  const TestChild child{[&] { call(); }};
  const ThreadWatch watch{child.pid(), child.tid()};
  REQUIRE(comes_true([&] { return watch.blocked_call().has_value(); }));
  Tracer tracer;
  const auto held = hold(tracer, child.tid());
  return held.cut_short_a_call();
}

}  // namespace

TEST_CASE("a held thread makes no progress and runs on afterwards", "[process]") {
  const BusyChild child;
  Tracer tracer;
  {
    const auto held = hold(tracer, child.tid());
    const auto before = child.progress();
    CHECK(child.state() == 't');
    const BusyChild free_child;
    REQUIRE(comes_true([&] { return free_child.progress() > 100'000; }));
    CHECK(child.progress() == before);
  }
  CHECK(child.makes_progress());
  CHECK_FALSE(tracer.has_pending());
  CHECK_FALSE(find_tracer(Process{child.pid()}));
}

TEST_CASE("a thread can be held again and again", "[process]") {
  const BusyChild child;
  Tracer tracer;
  for (int i = 0; i < 200; ++i) {
    const auto held = hold(tracer, child.tid());
    const auto before = child.progress();
    REQUIRE(child.progress() == before);
  }
  CHECK(child.makes_progress());
}

TEST_CASE("a held thread that is moved from does not run yet", "[process]") {
  const BusyChild child;
  Tracer tracer;
  auto held = std::optional{hold(tracer, child.tid())};
  const HeldThread moved = std::move(*held);
  held.reset();
  CHECK(child.state() == 't');
}

TEST_CASE("a signal that arrives while a thread is held is handed on", "[process]") {
  const BusyChild child;
  Tracer tracer;
  {
    const auto held = hold(tracer, child.tid());
    child.send(SIGUSR1);
    CHECK(child.signals() == 0);
  }
  CHECK(comes_true([&] { return child.signals() == 1; }));
}

TEST_CASE("signals around holds are neither lost nor doubled", "[process]") {
  const BusyChild child;
  Tracer tracer;
  for (std::uint64_t i = 1; i <= 300; ++i) {
    child.send(SIGUSR1);
    { const auto held = hold(tracer, child.tid()); }
    REQUIRE(comes_true([&] { return child.signals() >= i; }));
    REQUIRE(child.signals() == i);
  }
}

TEST_CASE("a stop that is a signal's delivery hands the signal on", "[process]") {
  const BusyChild child;
  REQUIRE(::ptrace(PTRACE_SEIZE, number(child.pid()), nullptr, nullptr) == 0);
  child.send(SIGUSR1);
  int status = 0;
  REQUIRE(::waitpid(number(child.pid()), &status, __WALL) == number(child.pid()));
  REQUIRE((WIFSTOPPED(status) && WSTOPSIG(status) == SIGUSR1));
  Tracer tracer;
  { const HeldThread held{tracer, child.tid(), SIGUSR1}; }
  CHECK(comes_true([&] { return child.signals() == 1; }));
  CHECK(child.makes_progress());
}

TEST_CASE("a stop nobody asked for is let go at once, with its signal", "[process]") {
  const BusyChild child;
  REQUIRE(::ptrace(PTRACE_SEIZE, number(child.pid()), nullptr, nullptr) == 0);
  child.send(SIGUSR1);
  Tracer tracer;
  CHECK(comes_true([&] {
    REQUIRE(tracer.collect().empty());
    return child.signals() == 1;
  }));
  CHECK(child.makes_progress());
}

TEST_CASE("a stopped process stays stopped after a hold", "[process]") {
  const BusyChild child;
  child.send(SIGSTOP);
  REQUIRE(::waitpid(number(child.pid()), nullptr, WUNTRACED) == number(child.pid()));
  const auto before = child.progress();
  Tracer tracer;
  { const auto held = hold(tracer, child.tid()); }
  CHECK(comes_true([&] { return child.state() == 'T'; }));
  CHECK(child.progress() == before);
  child.send(SIGCONT);
  CHECK(child.makes_progress());
}

TEST_CASE("a child that is killed while held ends, and its end is reported", "[process]") {
  const BusyChild child;
  Tracer tracer;
  {
    const auto held = hold(tracer, child.tid());
    child.send(SIGKILL);
  }
  CHECK(tracer.has_pending());
  const auto event = next_event(tracer, child.tid());
  CHECK_FALSE(event.held);
  CHECK(WIFSIGNALED(event.exit_status));
  CHECK(WTERMSIG(event.exit_status) == SIGKILL);
  CHECK_FALSE(tracer.has_pending());
}

TEST_CASE("the end of a thread that dies while it is asked to stop is not lost", "[process]") {
  Tracer tracer;
  // Whether hold() or collect() is told of the end is a race: each of these may go either way.
  for (int i = 0; i < 30; ++i) {
    const BusyChild child;
    child.send(SIGKILL);
    const auto attempt = tracer.hold(child.tid(), std::chrono::seconds{1});
    REQUIRE_FALSE(std::holds_alternative<HeldThread>(attempt));
    const auto event = next_event(tracer, child.tid());
    REQUIRE_FALSE(event.held);
    REQUIRE(WTERMSIG(event.exit_status) == SIGKILL);
    REQUIRE_FALSE(tracer.has_pending());
  }
}

TEST_CASE("the end of a child that was never held is reported with its status", "[process]") {
  const TestChild child{[] { ::_exit(7); }};
  Tracer tracer;
  const auto event = next_event(tracer, child.tid());
  CHECK_FALSE(event.held);
  CHECK(WIFEXITED(event.exit_status));
  CHECK(WEXITSTATUS(event.exit_status) == 7);
}

TEST_CASE("a thread that does not exist cannot be held", "[process]") {
  TestChild child{[] {}};
  child.end();
  Tracer tracer;
  CHECK(refusal(tracer, child.tid()) == Refusal::ended);
  CHECK_FALSE(tracer.has_pending());
}

TEST_CASE("a thread that another tracer holds is refused", "[process]") {
  const Pipe wait;
  const TestChild child{[&] {
    ::prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
    (void)wait.take();
  }};
  const Pipe ready;
  const TestChild other{[&] {
    if (::ptrace(PTRACE_SEIZE, number(child.pid()), nullptr, nullptr) == 0) ready.give();
    (void)wait.take();
  }};
  REQUIRE(ready.take());
  Tracer tracer;
  CHECK(refusal(tracer, child.tid()) == Refusal::traced);
  CHECK_FALSE(tracer.has_pending());
}

TEST_CASE("a zombie cannot be held, because it has ended", "[process]") {
  const TestChild child{[] {}};
  siginfo_t ended{};
  REQUIRE(::waitid(P_PID, static_cast<id_t>(number(child.pid())), &ended, WEXITED | WNOWAIT) == 0);
  Tracer tracer;
  CHECK(refusal(tracer, child.tid()) == Refusal::ended);
}

TEST_CASE("a thread that nobody traces and that we may not stop is refused as forbidden", "[process]") {
  const Pipe wait;
  const TestChild target{[&] { (void)wait.take(); }};
  const SharedPage seen;
  const TestChild us{[&] {
    // As a security module does, or a filter that looks at whom the call is about.
    if (!refuse_call(SYS_ptrace)) return;
    Tracer tracer;
    seen->progress = refusal(tracer, target.tid()) == Refusal::forbidden ? 1 : 2;
  }};
  REQUIRE(::waitpid(number(us.pid()), nullptr, 0) == number(us.pid()));
  CHECK(seen->progress == 1);
}

TEST_CASE("a stop is pending while the thread cannot stop, and is collected when it can", "[process]") {
  const VforkingChild child;
  Tracer tracer;
  REQUIRE(std::holds_alternative<StopPending>(tracer.hold(child.tid())));
  CHECK(tracer.has_pending());
  CHECK(tracer.is_pending(child.tid()));
  CHECK_FALSE(tracer.is_pending(Tid{1}));
  CHECK(tracer.collect().empty());
  CHECK(tracer.is_pending(child.tid()));
  child.let_go();
  {
    const auto event = next_event(tracer, child.tid());
    CHECK(event.held);
    CHECK_FALSE(tracer.has_pending());
    CHECK_FALSE(child.has_gone_on());
  }
  CHECK(comes_true([&] { return child.has_gone_on(); }));
}

TEST_CASE("a hold need not wait for the stop", "[process]") {
  const BusyChild child;
  Tracer tracer;
  const auto attempt = tracer.hold(child.tid(), std::chrono::microseconds{0});
  CHECK_FALSE(std::holds_alternative<StopRefused>(attempt));
  CHECK(tracer.is_pending(child.tid()) == std::holds_alternative<StopPending>(attempt));
  if (tracer.has_pending()) CHECK(next_event(tracer, child.tid()).held);
  CHECK_FALSE(tracer.has_pending());
}

TEST_CASE("a tracer that ends lets go of a stop that is pending", "[process]") {
  const BusyChild child;
  { static_cast<void>(Tracer{}.hold(child.tid())); }
  CHECK(child.makes_progress());
  CHECK_FALSE(find_tracer(Process{child.pid()}));
}

TEST_CASE("a stop cuts short a wait for events", "[process]") {
  CHECK(is_cut_short([] {
    const UniqueFd events{::epoll_create1(EPOLL_CLOEXEC)};
    epoll_event event{};
    (void)::epoll_wait(events.get(), &event, 1, -1);
  }));
}

TEST_CASE("a stop does not cut short a call that the kernel restarts", "[process]") {
  const Pipe pipe;
  CHECK_FALSE(is_cut_short([&] { (void)pipe.take(); }));
}

TEST_CASE("a stop of a thread that computes cuts no call short", "[process]") {
  const BusyChild child;
  Tracer tracer;
  CHECK_FALSE(hold(tracer, child.tid()).cut_short_a_call());
}

}  // namespace sampler
