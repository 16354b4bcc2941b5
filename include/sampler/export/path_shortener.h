#pragma once

#include <span>
#include <string_view>
#include <unordered_map>

namespace sampler {

/// What is shown of each file that is shown shortened; other files are shown as they are. The views are into
/// the names that were given.
using ShortPaths = std::unordered_map<std::string_view, std::string_view>;

/// The part of `file` below the last site-packages or dist-packages, else below the library directory
/// (lib/pythonX.Y), else below the working directory; else all of it.
[[nodiscard]] std::string_view shortened_path(std::string_view file,
                                              std::string_view working_directory) noexcept;

/// The files that can be shown shortened: those whose short name is no other file's short or full name.
/// `files` are distinct.
[[nodiscard]] ShortPaths shorten_paths(std::span<const std::string_view> files,
                                       std::string_view working_directory);

}  // namespace sampler
