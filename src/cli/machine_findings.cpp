#include "machine_findings.h"

#include <fmt/format.h>

#include "sampler/base/error.h"

namespace sampler {
namespace {

Finding ok(std::string what) {
  return {Verdict::ok, std::move(what), {}};
}

Finding proc_finding(const KernelSupport& kernel) {
  if (kernel.has_own_proc) return ok("/proc is mounted and shows our PID namespace");
  return {Verdict::fail, "/proc is not mounted, or is another PID namespace's",
          "mount -t proc proc /proc; with unshare use --mount-proc"};
}

Finding reading_finding(const KernelSupport& kernel, const Rights& rights) {
  if (kernel.read_memory == 0) return ok("process_vm_readv reads memory");
  const auto refused = fmt::format("process_vm_readv is refused: {}", errno_text(kernel.read_memory));
  if (kernel.memory_file == 0) {
    return {Verdict::note, refused + "; /proc/PID/mem is read instead, which is slower",
            refused_call_hint(rights)};
  }
  return {Verdict::fail,
          fmt::format("{}, and so is /proc/PID/mem: {}", refused, errno_text(kernel.memory_file)),
          refused_call_hint(rights)};
}

Finding stopping_finding(const KernelSupport& kernel, const Rights& rights) {
  if (kernel.stop.code == 0) return ok("ptrace can be called");
  return {Verdict::fail,
          fmt::format("{} is refused: {}; no thread can be stopped", kernel.stop.name,
                      errno_text(kernel.stop.code)),
          refused_call_hint(rights) + "; or use --hold preempt, which stops nobody"};
}

Finding pidfd_finding(const KernelSupport& kernel) {
  if (kernel.pidfd == 0) return ok("pidfd_open opens processes");
  return {Verdict::note,
          fmt::format("pidfd_open is refused: {}; a process is known by its start time instead",
                      errno_text(kernel.pidfd)),
          {}};
}

Finding turns_finding(const KernelSupport& kernel) {
  if (kernel.counts_turns) return ok("schedstat counts a thread's turns on a CPU");
  return {Verdict::note, "schedstat does not count a thread's turns on a CPU: more ticks may fail",
          "as root: sysctl kernel.task_delayacct=1; or a kernel with CONFIG_SCHEDSTATS"};
}

Finding yama_finding(const Rights& rights) {
  if (!rights.yama_scope) return ok("yama: not in this kernel");
  const auto value = fmt::format("yama: kernel.yama.ptrace_scope is {}", *rights.yama_scope);
  const bool is_shut = *rights.yama_scope >= 3;
  if (!is_shut && (*rights.yama_scope == 0 || rights.may_trace_all())) return ok(value);
  if (*rights.yama_scope == 1) {
    return {Verdict::note, value + ": without CAP_SYS_PTRACE our own descendants only", trace_hint(rights)};
  }
  return {Verdict::fail, value + (is_shut ? ": nobody may trace" : ": CAP_SYS_PTRACE is needed"),
          trace_hint(rights)};
}

Finding ptrace_capability_finding(const Rights& rights) {
  const auto we = fmt::format("we are user {}", rights.own.users[1]);
  const auto* const whose = rights.is_in_first_user_namespace ? "of every user" : "of our user namespace";
  if (rights.may_trace_all()) return ok(fmt::format("{} with CAP_SYS_PTRACE: processes {}", we, whose));
  return {Verdict::note, we + " without CAP_SYS_PTRACE: processes of this user only",
          rights.is_root() ? trace_hint(rights) : "for others: run as root"};
}

Finding map_files_finding(const Rights& rights) {
  // The kernel asks for the capability in the first user namespace.
  const bool may_open =
      rights.is_in_first_user_namespace &&
      (rights.own.has(Capability::checkpoint_restore) || rights.own.has(Capability::sys_admin));
  if (may_open) return ok("CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN: deleted files open as well");
  return {Verdict::note, "neither CAP_CHECKPOINT_RESTORE nor CAP_SYS_ADMIN: files open by their names only",
          "a process whose Python was upgraded or deleted needs root on the host, or a restart"};
}

Finding nice_finding(const Rights& rights) {
  if (rights.own.has(Capability::sys_nice))
    return ok("CAP_SYS_NICE: sampler runs before others (it gives itself nice -20)");
  return {Verdict::note, "no CAP_SYS_NICE: on a busy machine ticks may be late",
          "run as root, or with CAP_SYS_NICE: sampler then gives itself nice -20"};
}

Finding seccomp_finding(const Rights& rights) {
  if (rights.own.seccomp == 0) return ok("seccomp: no filter on us");
  return {Verdict::note, "seccomp: a filter is on us; the calls above were tried under it", {}};
}

Finding pid_namespace_finding(const Rights& rights) {
  if (rights.is_in_first_pid_namespace)
    return ok("PID namespace: the machine's first, all processes are seen");
  return {Verdict::note, "PID namespace: one of its own, as in a container; only its processes are seen",
          "for others run sampler on the host, or with docker run --pid=container:ID"};
}

Finding user_namespace_finding(const Rights& rights) {
  if (rights.is_in_first_user_namespace) return ok("user namespace: the machine's first");
  return {Verdict::note, "user namespace: one of its own; our capabilities count in it and below only",
          "for processes outside run sampler as root on the host"};
}

}  // namespace

Findings machine_findings(const KernelSupport& kernel, const Rights& rights) {
  return {ok(fmt::format("Linux {} on {}", kernel.release, kernel.machine)),
          proc_finding(kernel),
          reading_finding(kernel, rights),
          stopping_finding(kernel, rights),
          pidfd_finding(kernel),
          turns_finding(kernel),
          yama_finding(rights),
          ptrace_capability_finding(rights),
          map_files_finding(rights),
          nice_finding(rights),
          seccomp_finding(rights),
          pid_namespace_finding(rights),
          user_namespace_finding(rights)};
}

}  // namespace sampler
