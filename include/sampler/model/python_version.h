#pragma once

#include <compare>
#include <string>

namespace sampler {

/// A CPython's major.minor, and whether it is a free-threaded build: what a layout is made for.
struct PythonVersion {
  int major = 0;
  int minor = 0;
  bool free_threaded = false;

  // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy 14 takes the comparison with 0 for a pointer's
  friend constexpr auto operator<=>(PythonVersion, PythonVersion) noexcept = default;
};

/// "3.12", "3.13t"
[[nodiscard]] inline std::string to_string(PythonVersion version) {
  return std::to_string(version.major) + "." + std::to_string(version.minor) +
         (version.free_threaded ? "t" : "");
}

}  // namespace sampler
