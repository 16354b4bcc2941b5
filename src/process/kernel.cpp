#include "sampler/process/kernel.h"

#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <limits>

#include "sampler/base/file.h"
#include "sampler/base/unique_fd.h"
#include "sampler/process/thread_watch.h"

namespace sampler {
namespace {

bool has_own_proc() {
  const auto self = read_link("/proc/self");
  return self && *self == std::to_string(::getpid());
}

int try_read_memory() noexcept {
  char from = 1;
  char into = 0;
  const iovec local{&into, 1};
  const iovec remote{&from, 1};
  return ::process_vm_readv(::getpid(), &local, 1, &remote, 1, 0) == 1 ? 0 : errno;
}

int try_trace() noexcept {
  // No process has so high a number, so a call that gets through finds none.
  constexpr pid_t nobody = std::numeric_limits<pid_t>::max();
  const bool was_let_through = ::ptrace(PTRACE_DETACH, nobody, nullptr, nullptr) == 0 || errno == ESRCH;
  return was_let_through ? 0 : errno;
}

int try_pidfd() {
  const UniqueFd pidfd{static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0))};
  return pidfd ? 0 : errno;
}

}  // namespace

KernelSupport kernel_support() {
  KernelSupport support;
  utsname name{};
  if (::uname(&name) == 0) {
    support.release = static_cast<const char*>(name.release);
    support.machine = static_cast<const char*>(name.machine);
  }
  support.has_own_proc = has_own_proc();
  support.read_memory = try_read_memory();
  support.trace = try_trace();
  support.pidfd = try_pidfd();
  support.counts_turns = ThreadWatch{Pid{::getpid()}, Tid{::getpid()}}.turns().has_value();
  return support;
}

}  // namespace sampler
