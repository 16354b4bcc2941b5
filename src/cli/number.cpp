#include "number.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>

namespace sampler {
namespace {

template <class T>
std::optional<T> parse_whole(std::string_view text) noexcept {
  T value{};
  const auto* const end = text.data() + text.size();
  const auto [stop, code] = std::from_chars(text.data(), end, value);
  if (code != std::errc{} || stop != end) return std::nullopt;
  return value;
}

}  // namespace

std::optional<double> parse_number(std::string_view text) noexcept {
  const auto value = parse_whole<double>(text);
  return value && std::isfinite(*value) ? value : std::nullopt;
}

std::optional<Pid> parse_pid(std::string_view text) noexcept {
  const auto value = parse_whole<std::int32_t>(text);
  if (!value || *value <= 0) return std::nullopt;
  return Pid{*value};
}

std::optional<PythonVersion> parse_abi(std::string_view text) noexcept {
  // The major digit, then one or two that do not start with a zero: 27, 36, 312; a t where it is
  // free-threaded.
  const bool is_free_threaded = text.ends_with('t');
  if (is_free_threaded) text.remove_suffix(1);
  if (text.size() < 2 || text.size() > 3 || (text.size() == 3 && text[1] == '0')) return std::nullopt;
  if (text.front() != '3' && text != "26" && text != "27") return std::nullopt;
  const auto major = parse_whole<std::uint8_t>(text.substr(0, 1));
  const auto minor = parse_whole<std::uint8_t>(text.substr(1));
  return major && minor ? std::optional{PythonVersion{*major, *minor, is_free_threaded}} : std::nullopt;
}

std::optional<std::chrono::nanoseconds> nanoseconds_of(double seconds) noexcept {
  if (!(seconds >= 0 && seconds <= 1e9)) return std::nullopt;
  const std::chrono::nanoseconds rounded{std::llround(seconds * 1e9)};
  return seconds > 0 ? std::max(rounded, std::chrono::nanoseconds{1}) : rounded;
}

}  // namespace sampler
