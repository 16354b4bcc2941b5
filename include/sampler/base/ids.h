#pragma once

#include <sys/types.h>

namespace sampler {

/// A process, by its number in our PID namespace.
enum class Pid : pid_t {};
/// A thread, by its number in our PID namespace.
enum class Tid : pid_t {};

[[nodiscard]] constexpr pid_t number(Pid pid) noexcept {
  return static_cast<pid_t>(pid);
}
[[nodiscard]] constexpr pid_t number(Tid tid) noexcept {
  return static_cast<pid_t>(tid);
}

}  // namespace sampler
