#pragma once

#include <dirent.h>
#include <sys/types.h>

#include <charconv>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace sampler {

/// The number at the start of a text.
template <class T>
[[nodiscard]] std::optional<T> to_number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end == text.data()) return std::nullopt;
  return value;
}

/// The value behind `key` at the start of a line of a status text, without leading white space.
[[nodiscard]] std::optional<std::string_view> status_value(std::string_view text, std::string_view key);

/// What the number of a file that we open stays below, as things are (RLIMIT_NOFILE).
[[nodiscard]] std::uint64_t file_limit() noexcept;

/// Calls `visit(number)` for each entry of a directory that is a number.
template <class Visit>
void for_each_number(const std::string& directory, Visit visit) {
  const std::unique_ptr<DIR, int (*)(DIR*)> entries{::opendir(directory.c_str()), ::closedir};
  if (!entries) return;
  while (const dirent* entry = ::readdir(entries.get())) {
    if (const auto number = to_number<pid_t>(static_cast<const char*>(entry->d_name))) visit(*number);
  }
}

}  // namespace sampler
