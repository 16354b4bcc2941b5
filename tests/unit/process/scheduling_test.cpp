#include "sampler/process/scheduling.h"

#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <thread>

#include "catch.h"

namespace sampler {
namespace {

/// What sched_getattr(2) tells of the calling thread's slice, in nanoseconds; 0 where the kernel has none
/// such.
std::uint64_t slice() {
  std::array<std::uint64_t, 7> attributes{};  // the slice is the fourth word
  if (::syscall(SYS_sched_getattr, 0, attributes.data(), sizeof attributes, 0) != 0) return 0;
  return attributes[3];
}

bool has_slices() {
  utsname name{};
  int major = 0;
  int minor = 0;
  return ::uname(&name) == 0 && std::sscanf(name.release, "%d.%d", &major, &minor) == 2 &&
         (major > 6 || (major == 6 && minor >= 12));
}

}  // namespace

TEST_CASE("the kernel knows of the short slice that a thread has asked for", "[process]") {
  std::uint64_t before = 0;
  std::uint64_t after = 0;
  std::thread{[&] {
    before = slice();
    ask_to_be_prompt();
    after = slice();
  }}.join();
  if (has_slices()) {
    CHECK(before > 100'000);
    CHECK(after == 100'000);
  } else {
    CHECK(after == before);
  }
}

}  // namespace sampler
