#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>

namespace sampler {

/// From now on the system call of this number ends with EPERM for us, as under a container's filter. False
/// where the kernel has no filters.
inline bool refuse_call(std::uint32_t call) {
  constexpr auto load = static_cast<std::uint16_t>(BPF_LD | BPF_W | BPF_ABS);
  constexpr auto jump_if_equal = static_cast<std::uint16_t>(BPF_JMP | BPF_JEQ | BPF_K);
  constexpr auto give = static_cast<std::uint16_t>(BPF_RET | BPF_K);
  std::array<sock_filter, 4> filter{{{load, 0, 0, offsetof(seccomp_data, nr)},
                                     {jump_if_equal, 1, 0, call},
                                     {give, 0, 0, SECCOMP_RET_ALLOW},
                                     {give, 0, 0, SECCOMP_RET_ERRNO | EPERM}}};
  const sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

}  // namespace sampler
