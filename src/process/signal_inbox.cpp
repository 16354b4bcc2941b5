#include "sampler/process/signal_inbox.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>

#include "sampler/base/error.h"
#include "sampler/process/rights.h"

namespace sampler {
namespace {

UniqueFd open_signalfd(const sigset_t& set) {
  UniqueFd file{::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)};
  if (file) return file;
  const int code = errno;
  if (code == EPERM || code == EACCES || code == ENOSYS) {
    throw Error{ErrorKind::permission, "signalfd is refused to sampler: " + errno_text(code),
                refused_call_hint(own_rights())};
  }
  throw Error{ErrorKind::internal, "cannot make a signalfd: " + errno_text(code)};
}

bool is_ignored(int signal) {
  struct sigaction action {};
  return ::sigaction(signal, nullptr, &action) == 0 &&
         action.sa_handler == SIG_IGN;  // NOLINT: sa_handler is a union member
}

/// Whether our whole group got the signal, from a key or as its session has ended. Of a terminal that is gone
/// the kernel tells the session's leader alone.
bool is_of_group(const signalfd_siginfo& info) {
  const bool is_for_leader = info.ssi_signo == SIGHUP && ::getsid(0) == ::getpid();
  return info.ssi_code == SI_KERNEL && !is_for_leader;
}

}  // namespace

SignalInbox::SignalInbox() {
  ::signal(SIGCHLD, SIG_DFL);  // inherited as ignored, it would not be sent for the stops that we wait for
  sigset_t stopping;
  ::sigemptyset(&stopping);
  for (const int signal : {SIGINT, SIGTERM, SIGQUIT, SIGTSTP}) ::sigaddset(&stopping, signal);
  if (!is_ignored(SIGHUP)) ::sigaddset(&stopping, SIGHUP);
  sigset_t child;
  ::sigemptyset(&child);
  ::sigaddset(&child, SIGCHLD);
  sigset_t output;  // in the background, a line to the terminal must not stop us
  ::sigemptyset(&output);
  ::sigaddset(&output, SIGTTOU);
  ::sigprocmask(SIG_BLOCK, &stopping, &original_);
  ::sigprocmask(SIG_BLOCK, &child, nullptr);
  ::sigprocmask(SIG_BLOCK, &output, nullptr);
  signals_ = open_signalfd(stopping);
  children_ = open_signalfd(child);
}

std::vector<ReceivedSignal> SignalInbox::take() {
  std::vector<ReceivedSignal> received;
  signalfd_siginfo info{};
  while (::read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    received.push_back({static_cast<int>(info.ssi_signo), is_of_group(info)});
  }
  return received;
}

void SignalInbox::clear_child_changes() {
  signalfd_siginfo info{};
  while (::read(children_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
  }
}

OpenInbox::OpenInbox(const SignalInbox& inbox) noexcept {
  ::pthread_sigmask(SIG_SETMASK, &inbox.original_mask(), &closed_);
}

OpenInbox::~OpenInbox() {
  ::pthread_sigmask(SIG_SETMASK, &closed_, nullptr);
}

}  // namespace sampler
