#include "sampler/model/run.h"

#include <numeric>

namespace sampler {

const char* description(TickFailure failure) noexcept {
  switch (failure) {
    case TickFailure::gil_too_busy:
      return "the GIL changed hands too often";
    case TickFailure::stop_timed_out:
      return "the thread did not stop within 100 ms";
    case TickFailure::already_traced:
      return "another tracer held the thread";
    case TickFailure::not_proven:
      return "a thread did not stand still while it was read, or another may have run what it names";
    case TickFailure::unreadable:
      return "the interpreter's memory could not be read";
    case TickFailure::no_interpreter:
      return "no initialised Python in the process";
    case TickFailure::foreign_cpu:
      return "the thread's CPU is not the sampler's to use (--hold ptrace needs none)";
    case TickFailure::realtime:
      return "the thread, or another on its CPU, has realtime priority and cannot be preempted (use --hold "
             "ptrace)";
    case TickFailure::uncounted:
      return "the kernel does not count the thread's turns on a CPU (schedstat; use --hold ptrace)";
    case TickFailure::out_of_files:
      return "too few files may be open, of which each thread takes three (ulimit -Hn)";
    case TickFailure::refused:
      return "the kernel refused to stop the thread (a security module, a seccomp filter, or a tracer "
             "outside of our PID namespace)";
    case TickFailure::hidden:
      return "a blocked thread may run the interpreter's state or another does, and /proc/PID/syscall, which "
             "tells, is closed to us (CAP_DAC_READ_SEARCH opens it)";
    case TickFailure::searching:
      return "the search for the interpreter was not over: a file of the process may be on a filesystem that "
             "does not answer";
  }
  return "unknown";
}

std::uint64_t RunSummary::failed_total() const noexcept {
  return std::accumulate(failed.begin(), failed.end(), std::uint64_t{0});
}

}  // namespace sampler
