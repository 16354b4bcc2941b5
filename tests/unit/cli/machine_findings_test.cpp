#include "cli/machine_findings.h"

#include <algorithm>
#include <cerrno>

#include "catch.h"

namespace sampler {
namespace {

constexpr std::uint64_t ptrace_bit = 1ULL << 19U;
constexpr std::uint64_t admin_bit = 1ULL << 21U;
constexpr std::uint64_t nice_bit = 1ULL << 23U;
constexpr std::uint64_t checkpoint_bit = 1ULL << 40U;

KernelSupport good_kernel() {
  KernelSupport kernel;
  kernel.release = "6.1.0-13-amd64";
  kernel.machine = "x86_64";
  kernel.has_own_proc = true;
  kernel.counts_turns = true;
  return kernel;
}

Rights root_rights() {
  Rights rights;
  rights.own.effective = ptrace_bit | admin_bit | nice_bit | checkpoint_bit;
  return rights;
}

Rights user_rights() {
  Rights rights;
  rights.own.users = {1000, 1000, 1000};
  return rights;
}

/// The finding whose text holds `words`.
Finding finding_of(const KernelSupport& kernel, const Rights& rights, const std::string& words) {
  const auto findings = machine_findings(kernel, rights);
  const auto found = std::find_if(findings.begin(), findings.end(), [&](const Finding& finding) {
    return finding.what.find(words) != std::string::npos;
  });
  INFO("looked for " << words);
  REQUIRE(found != findings.end());
  return *found;
}

Finding yama(Rights rights, int scope) {
  rights.yama_scope = scope;
  return finding_of(good_kernel(), rights, "yama: kernel.yama.ptrace_scope is " + std::to_string(scope));
}

}  // namespace

TEST_CASE("root on a machine of its own has nothing to be told", "[cli]") {
  for (const auto& finding : machine_findings(good_kernel(), root_rights())) {
    CHECK(finding == Finding{Verdict::ok, finding.what, ""});
  }
}

TEST_CASE("without /proc or process_vm_readv nothing can be sampled", "[cli]") {
  auto kernel = good_kernel();
  kernel.has_own_proc = false;
  kernel.read_memory = ENOSYS;
  kernel.memory_file = EACCES;
  CHECK(finding_of(kernel, root_rights(), "/proc is not mounted").verdict == Verdict::fail);
  const auto reading =
      finding_of(kernel, root_rights(), "process_vm_readv is refused: Function not implemented");
  CHECK(reading.verdict == Verdict::fail);
  CHECK_THAT(reading.cure, Catch::Contains("sandbox") && !Catch::Contains("seccomp"));
}

TEST_CASE("where /proc/PID/mem is open, process_vm_readv need not be", "[cli]") {
  auto kernel = good_kernel();
  kernel.read_memory = EPERM;
  auto rights = root_rights();
  rights.own.seccomp = 2;
  const auto reading = finding_of(kernel, rights, "process_vm_readv is refused: Operation not permitted");
  CHECK(reading.verdict == Verdict::note);
  CHECK_THAT(reading.what, Catch::Contains("/proc/PID/mem is read instead"));
  CHECK_THAT(reading.cure, Catch::Contains("seccomp filter"));
}

TEST_CASE("where no thread can be stopped sampling as usual does not work", "[cli]") {
  auto kernel = good_kernel();
  kernel.stop = {"ptrace", EPERM};
  const auto stopping = finding_of(kernel, root_rights(), "ptrace is refused: Operation not permitted");
  CHECK(stopping.verdict == Verdict::fail);
  CHECK_THAT(stopping.cure, Catch::Contains("--hold preempt"));
}

TEST_CASE("what the kernel lacks and is not needed always is a note", "[cli]") {
  auto kernel = good_kernel();
  kernel.pidfd = ENOSYS;
  kernel.counts_turns = false;
  CHECK(finding_of(kernel, root_rights(), "pidfd_open is refused").verdict == Verdict::note);
  CHECK_THAT(finding_of(kernel, root_rights(), "schedstat does not").cure,
             Catch::Contains("task_delayacct=1"));
}

TEST_CASE("yama's values bind those without the capability, and 3 binds everybody", "[cli]") {
  CHECK(yama(user_rights(), 0).verdict == Verdict::ok);
  CHECK(yama(user_rights(), 1).verdict == Verdict::note);
  CHECK(yama(user_rights(), 2).verdict == Verdict::fail);
  CHECK(yama(user_rights(), 3).verdict == Verdict::fail);
  CHECK(yama(root_rights(), 1).verdict == Verdict::ok);
  CHECK(yama(root_rights(), 2).verdict == Verdict::ok);
  CHECK(yama(root_rights(), 3).verdict == Verdict::fail);
}

TEST_CASE("yama's cure is that of sampling", "[cli]") {
  auto rights = user_rights();
  rights.yama_scope = 1;
  CHECK(yama(user_rights(), 1).cure == trace_hint(rights));
}

TEST_CASE("a kernel without yama is fine", "[cli]") {
  CHECK(finding_of(good_kernel(), user_rights(), "yama: not in this kernel").verdict == Verdict::ok);
}

TEST_CASE("who has no right to trace others is told how to get it", "[cli]") {
  const auto user = finding_of(good_kernel(), user_rights(), "we are user 1000 without CAP_SYS_PTRACE");
  CHECK(user.verdict == Verdict::note);
  CHECK_THAT(user.cure, Catch::Contains("root"));
  auto root = root_rights();
  root.own.effective = 0;
  const auto in_container = finding_of(good_kernel(), root, "we are user 0 without CAP_SYS_PTRACE");
  CHECK_THAT(in_container.cure, Catch::Contains("--cap-add=SYS_PTRACE"));
}

TEST_CASE("who may be nice to itself needs no help for it, and who may not is told", "[cli]") {
  CHECK(finding_of(good_kernel(), root_rights(), "CAP_SYS_NICE: sampler runs before others").verdict ==
        Verdict::ok);
  CHECK_THAT(finding_of(good_kernel(), user_rights(), "no CAP_SYS_NICE").cure, Catch::Contains("nice -20"));
}

TEST_CASE("mapped files need one of two capabilities, in the first user namespace", "[cli]") {
  const std::string opens = "deleted files open as well";
  auto rights = user_rights();
  rights.own.effective = checkpoint_bit;
  CHECK(finding_of(good_kernel(), rights, opens).verdict == Verdict::ok);
  rights.own.effective = admin_bit;
  CHECK(finding_of(good_kernel(), rights, opens).verdict == Verdict::ok);
  rights.is_in_first_user_namespace = false;
  CHECK(finding_of(good_kernel(), rights, "files open by their names only").verdict == Verdict::note);
  CHECK(finding_of(good_kernel(), user_rights(), "files open by their names only").verdict == Verdict::note);
}

TEST_CASE("namespaces and filters of our own are notes", "[cli]") {
  auto rights = root_rights();
  rights.own.seccomp = 2;
  rights.is_in_first_pid_namespace = false;
  rights.is_in_first_user_namespace = false;
  CHECK(finding_of(good_kernel(), rights, "seccomp: a filter is on us").verdict == Verdict::note);
  CHECK_THAT(finding_of(good_kernel(), rights, "PID namespace: one of its own").cure,
             Catch::Contains("--pid="));
  CHECK_THAT(finding_of(good_kernel(), rights, "user namespace: one of its own").cure,
             Catch::Contains("host"));
  CHECK_THAT(finding_of(good_kernel(), rights, "with CAP_SYS_PTRACE").what,
             Catch::Contains("of our user namespace"));
}

}  // namespace sampler
