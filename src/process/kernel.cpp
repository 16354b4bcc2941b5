#include "sampler/process/kernel.h"

#include <fcntl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <ctime>
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

int try_memory_file() {
  char from = 1;
  char into = 0;
  const auto file = open_file("/proc/self/mem", O_RDONLY);
  if (!file) return file.error();
  const auto at = reinterpret_cast<std::uintptr_t>(&from);  // NOLINT: the file's offsets are addresses
  return ::pread(file->get(), &into, 1, static_cast<off_t>(at)) == 1 ? 0 : errno;
}

int try_trace() noexcept {
  // No process has so high a number, so a call that gets through finds none.
  constexpr pid_t nobody = std::numeric_limits<pid_t>::max();
  for (const auto request : {PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH}) {
    if (::ptrace(request, nobody, nullptr, nullptr) != 0 && errno != ESRCH) return errno;
  }
  return 0;
}

int try_timer() noexcept {
  sigevent event{};
  event.sigev_notify = SIGEV_NONE;
  timer_t timer{};
  if (::timer_create(CLOCK_MONOTONIC, &event, &timer) != 0) return errno;
  ::timer_delete(timer);
  return 0;
}

int try_pidfd() {
  const UniqueFd pidfd{static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0))};
  return pidfd ? 0 : errno;
}

}  // namespace

int try_read_memory() noexcept {
  char from = 1;
  char into = 0;
  const iovec local{&into, 1};
  const iovec remote{&from, 1};
  return ::process_vm_readv(::getpid(), &local, 1, &remote, 1, 0) == 1 ? 0 : errno;
}

RefusedCall try_stop() noexcept {
  if (const int code = try_trace(); code != 0) return {"ptrace", code};
  return {"timer_create", try_timer()};
}

KernelSupport kernel_support() {
  KernelSupport support;
  utsname name{};
  if (::uname(&name) == 0) {
    support.release = static_cast<const char*>(name.release);
    support.machine = static_cast<const char*>(name.machine);
  }
  support.has_own_proc = has_own_proc();
  support.read_memory = try_read_memory();
  support.memory_file = try_memory_file();
  support.stop = try_stop();
  support.pidfd = try_pidfd();
  support.counts_turns = ThreadWatch{Pid{::getpid()}, Tid{::getpid()}}.turns().has_value();
  return support;
}

}  // namespace sampler
