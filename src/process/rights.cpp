#include "sampler/process/rights.h"

#include "process/proc_files.h"
#include "sampler/base/file.h"
#include "sampler/process/namespaces.h"

namespace sampler {
namespace {

std::optional<int> yama_scope() {
  const auto text = read_file("/proc/sys/kernel/yama/ptrace_scope");
  return text ? to_number<int>(*text) : std::nullopt;
}

bool are_in_first(NamespaceKind kind) {
  const auto ours = namespace_of("self", kind);
  return !ours || is_first_namespace(kind, *ours);
}

}  // namespace

Rights own_rights() {
  Rights rights;
  rights.own = read_status("self").value_or(ProcessStatus{});
  rights.yama_scope = yama_scope();
  rights.is_in_first_user_namespace = are_in_first(NamespaceKind::user);
  rights.is_in_first_pid_namespace = are_in_first(NamespaceKind::pid);
  return rights;
}

std::string refused_call_hint(const Rights& rights) {
  if (rights.own.seccomp == 0) {
    return "this kernel, or the sandbox that stands in for it, does not have the call: run sampler on the "
           "host";
  }
  return "a seccomp filter on sampler forbids the call: run it without (docker, podman: --security-opt "
         "seccomp=unconfined; systemd: no SystemCallFilter)";
}

std::string trace_hint(const Rights& rights) {
  if (rights.is_root() && !rights.may_trace_all()) {
    return "root without CAP_SYS_PTRACE: docker run --cap-add=SYS_PTRACE; Kubernetes: "
           "securityContext.capabilities.add: [SYS_PTRACE]";
  }
  const int scope = rights.yama_scope.value_or(0);
  if (scope == 3) return "kernel.yama.ptrace_scope is 3: nobody may trace until a reboot with a lower value";
  if (rights.may_trace_all() && !rights.is_in_first_user_namespace) {
    return "CAP_SYS_PTRACE is there, but in this user namespace only: run as root on the host, or inside the "
           "process's own namespace";
  }
  if (rights.may_trace_all()) {
    return "CAP_SYS_PTRACE is there, so a security module (SELinux, AppArmor, Landlock) forbids it: see the "
           "kernel's log";
  }
  if (scope == 2) return "kernel.yama.ptrace_scope is 2: run as root";
  if (scope == 1) {
    return "kernel.yama.ptrace_scope is 1: run as root, or start the program with: sampler -- COMMAND";
  }
  return "it belongs to another user, has more rights or is undumpable: run as that user or as root "
         "(sudo; in a container --cap-add=SYS_PTRACE)";
}

}  // namespace sampler
