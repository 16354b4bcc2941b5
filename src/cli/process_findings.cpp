#include "process_findings.h"

#include <fmt/format.h>

#include <algorithm>

namespace sampler {
namespace {

std::string_view state_text(char state) noexcept {
  switch (state) {
    case 'R':
      return "running";
    case 'S':
      return "sleeping";
    case 'D':
      return "in an uninterruptible wait";
    case 'T':
      return "stopped by job control";
    case 't':
      return "stopped by a tracer";
    case 'I':
      return "idle";
    case 'Z':
      return "going on without its first thread, which has ended";
    default:
      return "in an unknown state";
  }
}

Finding existence_finding(const ProcessFacts& facts) {
  return {Verdict::ok,
          fmt::format("process {} ({}) is {}; threads: {}, parent: {}", number(facts.pid), facts.stat.name,
                      state_text(facts.stat.state), facts.status.threads, number(facts.stat.parent)),
          {}};
}

/// One number where the real, effective and saved ids are one, else all three.
std::string ids_text(std::string_view noun, const std::array<uid_t, 3>& ids) {
  if (ids[0] == ids[1] && ids[1] == ids[2]) return fmt::format("{} {}", noun, ids[0]);
  return fmt::format("{} {}/{}/{}", noun, ids[0], ids[1], ids[2]);
}

bool are_all(const std::array<uid_t, 3>& ids, uid_t id) {
  return std::all_of(ids.begin(), ids.end(), [&](uid_t other) { return other == id; });
}

Finding owner_finding(const ProcessFacts& facts, const Rights& rights) {
  const auto& its = facts.status;
  const auto whose =
      fmt::format("it runs as {}, {}", ids_text("user", its.users), ids_text("group", its.groups));
  if (are_all(its.users, rights.own.users[1]) && are_all(its.groups, rights.own.groups[1])) {
    return {Verdict::ok, whose + ", as we do", {}};
  }
  if (rights.may_trace_all()) return {Verdict::ok, whose + "; CAP_SYS_PTRACE covers that", {}};
  return {Verdict::note,
          fmt::format("{}; we are user {}, group {}", whose, rights.own.users[1], rights.own.groups[1]),
          {}};
}

Finding namespace_finding(const ProcessFacts& facts) {
  if (!facts.shares_mounts || !facts.shares_users) {
    return {Verdict::note, "its namespaces cannot be told without the right to trace it", {}};
  }
  std::string others;
  const auto add = [&](std::string_view name) { others += (others.empty() ? "" : ", ") + std::string{name}; };
  const auto& numbers = facts.status.numbers;
  const bool is_nested = numbers && numbers->is_nested;
  if (is_nested) add(fmt::format("PID (it is {} there)", number(numbers->inner)));
  if (!*facts.shares_mounts) add("mount");
  if (!*facts.shares_users) add("user");
  if (others.empty()) return {Verdict::ok, "its PID, mount and user namespaces are ours", {}};
  return {Verdict::note, fmt::format("other namespaces than ours: {}; as in a container", others), {}};
}

/// Why the kernel may refuse although the user is the same.
Findings protection_findings(const ProcessFacts& facts, const Rights& rights) {
  Findings findings;
  if (rights.may_trace_all()) return findings;
  if (facts.is_undumpable) {
    findings.push_back(
        {Verdict::note, "it is undumpable, as set-uid programs are: CAP_SYS_PTRACE is needed", {}});
  }
  if ((facts.status.permitted & ~rights.own.effective) != 0) {
    findings.push_back({Verdict::note, "it has capabilities that we lack: CAP_SYS_PTRACE is needed", {}});
  }
  return findings;
}

Finding hidden_calls_finding(const ProcessFacts& facts) {
  return {
      Verdict::note,
      fmt::format("/proc/{}/syscall is closed to us: threads that wait for the GIL look idle, and one that "
                  "sleeps with it is not proven",
                  number(facts.pid)),
      "run as root, as its user, or with CAP_DAC_READ_SEARCH as well as CAP_SYS_PTRACE"};
}

Finding program_finding(const ProcessFacts& facts) {
  if (!facts.program || !facts.kind) {
    return {Verdict::note, "its program cannot be read without the right to trace it", {}};
  }
  switch (*facts.kind) {
    case ProgramKind::x86_64:
      return {Verdict::ok, fmt::format("its program is for x86-64: {}", *facts.program), {}};
    case ProgramKind::bits_32:
      return {Verdict::fail, fmt::format("its program is for 32 bits: {}", *facts.program),
              "use a 64-bit Python; sampler reads no others"};
    case ProgramKind::other:
      return {Verdict::fail, fmt::format("its program is for another machine: {}", *facts.program),
              "sampler reads x86-64 only"};
  }
  return {};
}

}  // namespace

Findings process_findings(const ProcessFacts& facts, const Rights& rights) {
  Findings findings{existence_finding(facts)};
  findings.push_back(owner_finding(facts, rights));
  for (auto& finding : protection_findings(facts, rights)) findings.push_back(std::move(finding));
  findings.push_back(namespace_finding(facts));
  findings.push_back(program_finding(facts));
  // Who may not trace it at all has another trouble.
  if (facts.program && !facts.shows_calls) findings.push_back(hidden_calls_finding(facts));
  return findings;
}

Finding hidden_finding(Pid pid, const Rights& rights) {
  return {
      Verdict::note,
      fmt::format("process {} is there, but /proc hides it from user {}", number(pid), rights.own.users[1]),
      "run as root; or mount /proc without hidepid"};
}

}  // namespace sampler
