#include "sampler/process/signal_inbox.h"

#include <poll.h>

#include <set>

#include "catch.h"
#include "test_child.h"

namespace sampler {
namespace {

/// Our signal mask and what HUP and CHLD do come back with its end.
class SignalState {
 public:
  explicit SignalState(sighandler_t on_hangup) {
    ::sigprocmask(SIG_SETMASK, nullptr, &mask_);
    hangup_ = ::signal(SIGHUP, on_hangup);
    child_end_ = ::signal(SIGCHLD, SIG_DFL);
  }
  SignalState(const SignalState&) = delete;
  SignalState& operator=(const SignalState&) = delete;
  ~SignalState() {
    ::signal(SIGHUP, hangup_);
    ::signal(SIGCHLD, child_end_);
    ::sigprocmask(SIG_SETMASK, &mask_, nullptr);
  }

  [[nodiscard]] const sigset_t& mask() const noexcept { return mask_; }

 private:
  sigset_t mask_{};
  sighandler_t hangup_ = SIG_DFL;
  sighandler_t child_end_ = SIG_DFL;
};

bool is_readable(int fd, int milliseconds = 0) {
  pollfd file{fd, POLLIN, 0};
  return ::poll(&file, 1, milliseconds) == 1;
}

void send_ourselves(int signal) {
  REQUIRE(::kill(::getpid(), signal) == 0);
}

}  // namespace

TEST_CASE("a signal to us is taken once", "[process]") {
  const SignalState before{SIG_DFL};
  SignalInbox inbox;
  CHECK_FALSE(is_readable(inbox.fd()));
  send_ourselves(SIGINT);
  CHECK(is_readable(inbox.fd()));
  const auto received = inbox.take();
  REQUIRE(received.size() == 1);
  CHECK(received[0].number == SIGINT);
  CHECK_FALSE(received[0].from_terminal);
  CHECK(inbox.take().empty());
  CHECK_FALSE(is_readable(inbox.fd()));
}

TEST_CASE("all signals that end or stop a run are taken", "[process]") {
  const SignalState before{SIG_DFL};
  SignalInbox inbox;
  send_ourselves(SIGTERM);
  send_ourselves(SIGQUIT);
  send_ourselves(SIGHUP);
  send_ourselves(SIGINT);
  send_ourselves(SIGTSTP);
  std::set<int> numbers;
  for (const auto& signal : inbox.take()) numbers.insert(signal.number);
  CHECK(numbers == std::set<int>{SIGTERM, SIGQUIT, SIGHUP, SIGINT, SIGTSTP});
}

TEST_CASE("a hangup that was ignored stays ignored", "[process]") {
  const SignalState before{SIG_IGN};
  SignalInbox inbox;
  send_ourselves(SIGHUP);
  CHECK(inbox.take().empty());
}

TEST_CASE("the end of a child is readable apart from signals, until it is cleared", "[process]") {
  const SignalState before{SIG_DFL};
  SignalInbox inbox;
  const TestChild child{[] {}};
  CHECK(is_readable(inbox.child_fd(), 10'000));
  CHECK_FALSE(is_readable(inbox.fd()));
  inbox.clear_child_changes();
  CHECK_FALSE(is_readable(inbox.child_fd()));
}

TEST_CASE("the end of a child is readable also where it was ignored", "[process]") {
  const SignalState before{SIG_DFL};
  ::signal(SIGCHLD, SIG_IGN);
  const SignalInbox inbox;
  const TestChild child{[] {}};
  CHECK(is_readable(inbox.child_fd(), 10'000));
}

TEST_CASE("an inbox keeps the signal mask of before", "[process]") {
  const SignalState before{SIG_DFL};
  const SignalInbox inbox;
  CHECK(::sigismember(&inbox.original_mask(), SIGINT) == ::sigismember(&before.mask(), SIGINT));
  CHECK(::sigismember(&inbox.original_mask(), SIGCHLD) == ::sigismember(&before.mask(), SIGCHLD));
  sigset_t now;
  ::sigprocmask(SIG_SETMASK, nullptr, &now);
  CHECK(::sigismember(&now, SIGINT) == 1);
}

TEST_CASE("while an inbox is open a signal does what it did before", "[process]") {
  const TestChild child{[] {
    ::signal(SIGINT, SIG_DFL);
    const SignalInbox inbox;
    const OpenInbox open{inbox};
    ::raise(SIGINT);
  }};
  int status = 0;
  REQUIRE(::waitpid(number(child.pid()), &status, 0) == number(child.pid()));
  CHECK(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGINT);
}

TEST_CASE("an inbox that was open takes signals again", "[process]") {
  const SignalState before{SIG_DFL};
  SignalInbox inbox;
  { const OpenInbox open{inbox}; }
  send_ourselves(SIGTERM);
  CHECK(inbox.take().size() == 1);
}

}  // namespace sampler
