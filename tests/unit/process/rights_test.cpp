#include "sampler/process/rights.h"

#include <unistd.h>

#include "catch.h"

namespace sampler {
namespace {

constexpr std::uint64_t ptrace_bit = 1ULL << 19U;

Rights rights_of(uid_t user, std::uint64_t capabilities, std::optional<int> yama_scope) {
  Rights rights;
  rights.own.users = {user, user, user};
  rights.own.effective = capabilities;
  rights.yama_scope = yama_scope;
  return rights;
}

}  // namespace

TEST_CASE("our own rights are those of our status", "[process]") {
  const auto rights = own_rights();
  CHECK(rights.is_root() == (::geteuid() == 0));
  CHECK(rights.own.process == Pid{::getpid()});
}

TEST_CASE("root without the capability is told how a container gives it", "[process]") {
  const auto hint = trace_hint(rights_of(0, 0, 1));
  CHECK_THAT(hint, Catch::Contains("--cap-add=SYS_PTRACE") && Catch::Contains("Kubernetes"));
}

TEST_CASE("yama's value is named with what it takes", "[process]") {
  CHECK_THAT(trace_hint(rights_of(1000, 0, 1)),
             Catch::Contains("is 1") && Catch::Contains("sampler -- COMMAND"));
  CHECK_THAT(trace_hint(rights_of(1000, 0, 2)), Catch::Contains("is 2") && Catch::Contains("run as root"));
  CHECK_THAT(trace_hint(rights_of(1000, 0, 3)), Catch::Contains("is 3") && Catch::Contains("reboot"));
  CHECK_THAT(trace_hint(rights_of(0, ptrace_bit, 3)), Catch::Contains("is 3") && Catch::Contains("reboot"));
}

TEST_CASE("without yama another user's process needs that user or root", "[process]") {
  CHECK_THAT(trace_hint(rights_of(1000, 0, std::nullopt)),
             Catch::Contains("another user") && Catch::Contains("sudo"));
  CHECK_THAT(trace_hint(rights_of(1000, 0, 0)), Catch::Contains("another user"));
}

TEST_CASE("a seccomp filter is named where there is one, and only there", "[process]") {
  auto rights = rights_of(1000, 0, 0);
  CHECK_THAT(refused_call_hint(rights), Catch::Contains("sandbox") && !Catch::Contains("seccomp"));
  rights.own.seccomp = 2;
  CHECK_THAT(refused_call_hint(rights), Catch::Contains("seccomp=unconfined"));
}

TEST_CASE("a refusal despite the capability is a security module's or a user namespace's", "[process]") {
  auto rights = rights_of(0, ptrace_bit, 1);
  CHECK_THAT(trace_hint(rights), Catch::Contains("security module"));
  rights.is_in_first_user_namespace = false;
  CHECK_THAT(trace_hint(rights), Catch::Contains("user namespace") && Catch::Contains("on the host"));
}

}  // namespace sampler
