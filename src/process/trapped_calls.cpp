#include "sampler/process/trapped_calls.h"

#include <ucontext.h>

#include <cerrno>
#include <csignal>

namespace sampler {
namespace {

void answer(int signal, siginfo_t* info, void* context) {
  constexpr int by_seccomp = 1;  // SYS_SECCOMP, which glibc's headers lack
  if (info->si_code != by_seccomp) {
    ::signal(signal, SIG_DFL);
    ::raise(signal);
    return;
  }
  // What the call returns.
  static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RAX] = -ENOSYS;
}

}  // namespace

void survive_trapped_calls() noexcept {
  struct sigaction action {};
  action.sa_sigaction = answer;  // NOLINT: a union member
  action.sa_flags = SA_SIGINFO;
  ::sigaction(SIGSYS, &action, nullptr);
}

}  // namespace sampler
