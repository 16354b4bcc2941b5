#include "sampler/process/kernel.h"

#include <sched.h>
#include <sys/utsname.h>

#include <cerrno>

#include "call_filter.h"
#include "catch.h"
#include "sampler/process/process_status.h"
#include "test_child.h"

namespace sampler {
TEST_CASE("a kernel that this program is made for supports what it needs", "[process]") {
  const auto support = kernel_support();
  CHECK(support.has_own_proc);
  CHECK(support.read_memory == 0);
  CHECK(support.memory_file == 0);
  CHECK(support.stop.code == 0);
  utsname name{};
  REQUIRE(::uname(&name) == 0);
  CHECK(support.release == static_cast<const char*>(name.release));
  CHECK(support.machine == "x86_64");
}

TEST_CASE("calls that a seccomp filter refuses are told with their error", "[process]") {
  const SharedPage seen;
  const TestChild child{[&] {
    if (!refuse_call(SYS_ptrace) || !refuse_call(SYS_process_vm_readv)) return;
    const auto support = kernel_support();
    const auto status = read_status("self");
    const bool is_told = support.read_memory == EPERM && support.memory_file == 0 &&
                         support.stop.name == "ptrace" && support.stop.code == EPERM && status &&
                         status->seccomp == 2;
    seen->progress = is_told ? 1 : 2;
  }};
  REQUIRE(::waitpid(number(child.pid()), nullptr, 0) == number(child.pid()));
  CHECK(seen->progress == 1);
}

TEST_CASE("stopping threads takes a timer, too", "[process]") {
  const SharedPage seen;
  const TestChild child{[&] {
    if (!refuse_call(SYS_timer_create)) return;
    const auto refused = try_stop();
    seen->progress = refused.name == "timer_create" && refused.code == EPERM ? 1 : 2;
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
