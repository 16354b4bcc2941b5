#include "sampler/process/process_status.h"

#include <unistd.h>

#include "catch.h"

namespace sampler {
namespace {

constexpr std::string_view status_text =
    "Name:\tCapEff: x\n"
    "Umask:\t0022\n"
    "State:\tS (sleeping)\n"
    "Tgid:\t4242\n"
    "Ngid:\t0\n"
    "Pid:\t4243\n"
    "PPid:\t1\n"
    "TracerPid:\t0\n"
    "Uid:\t1000\t1001\t1002\t1001\n"
    "Gid:\t2000\t2001\t2002\t2001\n"
    "NStgid:\t4242\t7\n"
    "NSpid:\t4243\t8\n"
    "Threads:\t3\n"
    "CapInh:\t0000000000000000\n"
    "CapPrm:\t000001fffeffffff\n"
    "CapEff:\t0000000000080000\n"
    "Seccomp:\t2\n";

}  // namespace

TEST_CASE("a status text tells process, users, groups, numbers, threads and rights", "[process]") {
  const auto status = parse_status(status_text);
  CHECK(status.process == Pid{4242});
  CHECK(status.users == std::array<uid_t, 3>{1000, 1001, 1002});
  CHECK(status.groups == std::array<gid_t, 3>{2000, 2001, 2002});
  CHECK(status.numbers == NamespaceNumbers{Tid{4243}, InnerTid{8}, true});
  CHECK(status.threads == 3);
  CHECK(status.permitted == 0x1fffeffffff);
  CHECK(status.effective == 0x80000);
  CHECK(status.seccomp == 2);
}

TEST_CASE("a capability is there where its bit is set", "[process]") {
  const auto status = parse_status(status_text);
  CHECK(status.has(Capability::sys_ptrace));
  CHECK_FALSE(status.has(Capability::sys_admin));
  CHECK(parse_status("CapEff:\t0000010000000000\n").has(Capability::checkpoint_restore));
}

TEST_CASE("what a status text does not tell is 0", "[process]") {
  for (const auto* text : {"", "Uid:\nGid:\t\nThreads:\tmany\nCapEff:\tzzz\n"}) {
    const auto status = parse_status(text);
    CHECK(status.process == Pid{});
    CHECK(status.users == std::array<uid_t, 3>{});
    CHECK_FALSE(status.numbers);
    CHECK(status.threads == 0);
    CHECK(status.effective == 0);
  }
}

TEST_CASE("our own status is that of the process we are", "[process]") {
  const auto status = read_status("self");
  REQUIRE(status);
  CHECK(status->process == Pid{::getpid()});
  CHECK(status->users[1] == ::geteuid());
  CHECK(status->groups[0] == ::getgid());
  CHECK(status->threads == 1);
}

TEST_CASE("what is not there has no status", "[process]") {
  CHECK_FALSE(read_status("none"));
}

}  // namespace sampler
