#pragma once

#include <chrono>
#include <optional>
#include <string_view>

#include "sampler/base/ids.h"
#include "sampler/model/python_version.h"

namespace sampler {

/// The finite number that is the whole text, in the C locale's notation.
[[nodiscard]] std::optional<double> parse_number(std::string_view text) noexcept;

/// A process id, or nothing: not 0, not negative, not beyond what the kernel can have.
[[nodiscard]] std::optional<Pid> parse_pid(std::string_view text) noexcept;

/// "312" is 3.12, as Pyflame writes ABIs, and "313t" a free-threaded 3.13; nothing where no CPython is
/// numbered so.
[[nodiscard]] std::optional<PythonVersion> parse_abi(std::string_view text) noexcept;

/// At least 1 ns for every positive number, so that a tiny time is not taken for none; nothing beyond 10^9 s.
[[nodiscard]] std::optional<std::chrono::nanoseconds> nanoseconds_of(double seconds) noexcept;

/// The other way, as a number to show.
[[nodiscard]] inline double seconds(std::chrono::nanoseconds time) noexcept {
  return std::chrono::duration<double>(time).count();
}

}  // namespace sampler
