#include "cli/process_findings.h"

#include <unistd.h>

#include <algorithm>

#include "catch.h"

namespace sampler {
namespace {

constexpr std::uint64_t ptrace_bit = 1ULL << 19U;

/// A process of user 1000 with nothing special about it.
ProcessFacts plain_facts() {
  ProcessFacts facts;
  facts.pid = Pid{42};
  facts.stat.name = "python3";
  facts.stat.state = 'S';
  facts.stat.parent = Pid{7};
  facts.status.process = Pid{42};
  facts.status.users = {1000, 1000, 1000};
  facts.status.groups = {1000, 1000, 1000};
  facts.status.threads = 3;
  facts.shares_mounts = true;
  facts.shares_users = true;
  facts.program = "/usr/bin/python3.11";
  facts.kind = ProgramKind::x86_64;
  return facts;
}

Rights rights_of(uid_t user) {
  Rights rights;
  rights.own.users = {user, user, user};
  rights.own.groups = {user, user, user};
  if (user == 0) rights.own.effective = ptrace_bit;
  return rights;
}

/// The finding whose text holds `words`; a fail that says so where there is none.
Finding finding_of(const ProcessFacts& facts, const Rights& rights, const std::string& words) {
  const auto findings = process_findings(facts, rights);
  const auto found = std::find_if(findings.begin(), findings.end(), [&](const Finding& finding) {
    return finding.what.find(words) != std::string::npos;
  });
  return found == findings.end() ? Finding{Verdict::fail, "nothing holds: " + words, ""} : *found;
}

/// An ELF file's header.
std::string elf_start(char word_size, char machine) {
  std::string start(64, '\0');
  start.replace(0, 5,
                std::string{"\x7f"
                            "ELF"} +
                    word_size);
  start[18] = machine;
  return start;
}

}  // namespace

TEST_CASE("a process like ours has nothing to note", "[cli]") {
  const auto findings = process_findings(plain_facts(), rights_of(1000));
  for (const auto& finding : findings) CHECK(finding == Finding{Verdict::ok, finding.what, ""});
  CHECK(findings.front().what == "process 42 (python3) is sleeping; threads: 3, parent: 7");
}

TEST_CASE("a process is in the state that the kernel's letter says", "[cli]") {
  auto facts = plain_facts();
  facts.stat.state = 'T';
  CHECK_THAT(process_findings(facts, rights_of(1000)).front().what,
             Catch::Contains("stopped by job control"));
  facts.stat.state = 'R';
  CHECK_THAT(process_findings(facts, rights_of(1000)).front().what, Catch::Contains("is running"));
}

TEST_CASE("a process whose first thread has ended goes on", "[cli]") {
  auto facts = plain_facts();
  facts.stat.state = 'Z';
  CHECK_THAT(process_findings(facts, rights_of(1000)).front().what,
             Catch::Contains("is going on without its first thread, which has ended; threads: 3"));
}

TEST_CASE("another user's process is noted unless we may trace all", "[cli]") {
  CHECK(finding_of(plain_facts(), rights_of(1000), "as we do").verdict == Verdict::ok);
  CHECK(finding_of(plain_facts(), rights_of(0), "CAP_SYS_PTRACE covers that").verdict == Verdict::ok);
  CHECK(finding_of(plain_facts(), rights_of(65534),
                   "it runs as user 1000, group 1000; we are user 65534, group 65534")
            .verdict == Verdict::note);
}

TEST_CASE("a process with several users is another user's", "[cli]") {
  auto facts = plain_facts();
  facts.status.users = {1000, 0, 0};
  CHECK(finding_of(facts, rights_of(1000), "user 1000/0/0, group 1000; we are user 1000").verdict ==
        Verdict::note);
}

TEST_CASE("what protects a process of our own user is noted", "[cli]") {
  auto facts = plain_facts();
  facts.is_undumpable = true;
  facts.status.permitted = ptrace_bit;
  CHECK(finding_of(facts, rights_of(1000), "it is undumpable").verdict == Verdict::note);
  CHECK(finding_of(facts, rights_of(1000), "it has capabilities that we lack").verdict == Verdict::note);
  CHECK(finding_of(facts, rights_of(0), "undumpable").what == "nothing holds: undumpable");
}

TEST_CASE("a process in a container has other namespaces", "[cli]") {
  auto facts = plain_facts();
  facts.shares_mounts = false;
  facts.status.numbers = NamespaceNumbers{Tid{42}, InnerTid{1}, true};
  CHECK(finding_of(facts, rights_of(0), "other namespaces than ours: PID (it is 1 there), mount; as in")
            .verdict == Verdict::note);
  facts.shares_users = false;
  CHECK(finding_of(facts, rights_of(0), "mount, user; as in").verdict == Verdict::note);
}

TEST_CASE("what we may not look at is noted and does not fail", "[cli]") {
  auto facts = plain_facts();
  facts.shares_mounts.reset();
  facts.program.reset();
  facts.kind.reset();
  CHECK(finding_of(facts, rights_of(65534), "its namespaces cannot be told").verdict == Verdict::note);
  CHECK(finding_of(facts, rights_of(65534), "its program cannot be read").verdict == Verdict::note);
}

TEST_CASE("closed calls are noted of a process that we may trace", "[cli]") {
  auto facts = plain_facts();
  facts.shows_calls = false;
  const auto closed = finding_of(facts, rights_of(1000), "/proc/42/syscall is closed to us");
  CHECK(closed.verdict == Verdict::note);
  CHECK_THAT(closed.cure, Catch::Contains("CAP_DAC_READ_SEARCH"));
  facts.program.reset();
  CHECK(finding_of(facts, rights_of(1000), "is closed to us").verdict == Verdict::fail);
}

TEST_CASE("a program for another machine fails", "[cli]") {
  auto facts = plain_facts();
  facts.kind = ProgramKind::bits_32;
  CHECK(finding_of(facts, rights_of(0), "its program is for 32 bits: /usr/bin/python3.11").verdict ==
        Verdict::fail);
  facts.kind = ProgramKind::other;
  CHECK(finding_of(facts, rights_of(0), "its program is for another machine").verdict == Verdict::fail);
}

TEST_CASE("a program's kind stands in its ELF header", "[cli]") {
  CHECK(program_kind(elf_start(2, 62)) == ProgramKind::x86_64);
  CHECK(program_kind(elf_start(1, 3)) == ProgramKind::bits_32);
  CHECK(program_kind(elf_start(2, 5)) == ProgramKind::other);
  CHECK(program_kind("#!/bin/sh\n") == ProgramKind::other);
  CHECK(program_kind("") == ProgramKind::other);
}

TEST_CASE("our own facts are known", "[cli]") {
  const auto facts = process_facts(Process{Pid{::getpid()}});
  REQUIRE(facts);
  CHECK(facts->status.process == Pid{::getpid()});
  CHECK_FALSE(facts->is_undumpable);
  CHECK(facts->shares_mounts == true);
  CHECK(facts->shares_users == true);
  CHECK(facts->kind == ProgramKind::x86_64);
  REQUIRE(facts->program);
  CHECK(facts->program->ends_with("unit_cli"));
}

}  // namespace sampler
