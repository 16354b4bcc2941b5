#include "sampler/export/path_shortener.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "sampler/base/ascii.h"

namespace sampler {
namespace {

constexpr bool is_lower(char c) noexcept {
  return c >= 'a' && c <= 'z';
}

template <class Predicate>
std::size_t skip(std::string_view text, std::size_t at, Predicate predicate) noexcept {
  while (at < text.size() && predicate(text[at])) ++at;
  return at;
}

// What follows the last `directory` of the file; empty where nothing does.
std::string_view below_last(std::string_view file, std::string_view directory) noexcept {
  const auto at = file.rfind(directory);
  return at == std::string_view::npos ? std::string_view{} : file.substr(at + directory.size());
}

std::string_view below_packages(std::string_view file) noexcept {
  const auto site = below_last(file, "/site-packages/");
  const auto dist = below_last(file, "/dist-packages/");
  if (site.empty() || dist.empty()) return site.empty() ? dist : site;
  return std::min(site, dist, [](auto a, auto b) { return a.size() < b.size(); });
}

// "3.12/os.py" and "3.13t/os.py" become "os.py"; empty where no version directory is at the start.
std::string_view below_version(std::string_view rest) noexcept {
  const auto dot = skip(rest, 0, is_digit);
  if (dot == 0 || dot >= rest.size() || rest[dot] != '.') return {};
  const auto end_of_minor = skip(rest, dot + 1, is_digit);
  const auto slash = skip(rest, end_of_minor, is_lower);
  if (end_of_minor == dot + 1 || slash >= rest.size() || rest[slash] != '/') return {};
  return rest.substr(slash + 1);
}

std::string_view below_library(std::string_view file) noexcept {
  constexpr std::array<std::string_view, 2> parents{"/lib/python", "/lib64/python"};
  for (const auto parent : parents) {
    if (const auto rest = below_version(below_last(file, parent)); !rest.empty()) return rest;
  }
  return {};
}

// Nothing is gained below "/": it would only make absolute names look relative.
std::string_view below_working_directory(std::string_view file, std::string_view directory) noexcept {
  while (directory.ends_with('/')) directory.remove_suffix(1);
  if (directory.empty() || !file.starts_with(directory)) return {};
  file.remove_prefix(directory.size());
  return file.starts_with('/') ? file.substr(1) : std::string_view{};
}

}  // namespace

std::string_view shortened_path(std::string_view file, std::string_view working_directory) noexcept {
  if (const auto rest = below_packages(file); !rest.empty()) return rest;
  if (const auto rest = below_library(file); !rest.empty()) return rest;
  if (const auto rest = below_working_directory(file, working_directory); !rest.empty()) return rest;
  return file;
}

ShortPaths shorten_paths(std::span<const std::string_view> files, std::string_view working_directory) {
  std::unordered_map<std::string_view, std::size_t> claims;  // files that are, or would be, shown by a name
  for (const auto file : files) {
    const auto shortened = shortened_path(file, working_directory);
    ++claims[file];
    if (shortened != file) ++claims[shortened];
  }
  ShortPaths result;
  for (const auto file : files) {
    const auto shortened = shortened_path(file, working_directory);
    if (shortened != file && claims[file] == 1 && claims[shortened] == 1) result.emplace(file, shortened);
  }
  return result;
}

}  // namespace sampler
