#include "sampler/process/kernel.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#include <array>
#include <cerrno>
#include <cstddef>

#include "catch.h"
#include "sampler/process/process_status.h"
#include "test_child.h"

namespace sampler {
namespace {

/// From now on ptrace and process_vm_readv end with EPERM for us, as under a container's filter.
bool refuse_tracing() {
  constexpr auto load = static_cast<std::uint16_t>(BPF_LD | BPF_W | BPF_ABS);
  constexpr auto jump_if_equal = static_cast<std::uint16_t>(BPF_JMP | BPF_JEQ | BPF_K);
  constexpr auto give = static_cast<std::uint16_t>(BPF_RET | BPF_K);
  std::array<sock_filter, 5> filter{{{load, 0, 0, offsetof(seccomp_data, nr)},
                                     {jump_if_equal, 2, 0, SYS_ptrace},
                                     {jump_if_equal, 1, 0, SYS_process_vm_readv},
                                     {give, 0, 0, SECCOMP_RET_ALLOW},
                                     {give, 0, 0, SECCOMP_RET_ERRNO | EPERM}}};
  const sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

}  // namespace

TEST_CASE("a kernel that this program is made for supports what it needs", "[process]") {
  const auto support = kernel_support();
  CHECK(support.has_own_proc);
  CHECK(support.read_memory == 0);
  CHECK(support.trace == 0);
  utsname name{};
  REQUIRE(::uname(&name) == 0);
  CHECK(support.release == static_cast<const char*>(name.release));
  CHECK(support.machine == "x86_64");
}

TEST_CASE("calls that a seccomp filter refuses are told with their error", "[process]") {
  const SharedPage seen;
  const TestChild child{[&] {
    if (!refuse_tracing()) return;
    const auto support = kernel_support();
    const auto status = read_status("self");
    const bool is_told =
        support.read_memory == EPERM && support.trace == EPERM && status && status->seccomp == 2;
    seen->progress = is_told ? 1 : 2;
  }};
  REQUIRE(::waitpid(number(child.pid()), nullptr, 0) == number(child.pid()));
  CHECK(seen->progress == 1);
}

TEST_CASE("a /proc of another PID namespace is not ours", "[process]") {
  if (!has_pid_namespaces()) return;
  const SharedPage seen;
  const TestChild child{[&] {
    if (::unshare(CLONE_NEWPID) != 0) return;
    const pid_t inner = ::fork();
    if (inner == 0) {
      seen->progress = kernel_support().has_own_proc ? 1 : 2;
      ::_exit(0);
    }
    ::waitpid(inner, nullptr, 0);
  }};
  REQUIRE(::waitpid(number(child.pid()), nullptr, 0) == number(child.pid()));
  CHECK(seen->progress == 2);
}

}  // namespace sampler
