#include "sampler/cpython/version_detector.h"

#include <array>
#include <charconv>
#include <cstring>
#include <map>

namespace sampler {
namespace {

constexpr std::string_view stem = "python";

/// The version that starts at text[0]: a digit, a dot, digits.
std::optional<PythonVersion> version_at(std::string_view text) {
  if (text.size() < 3 || (text[0] != '2' && text[0] != '3') || text[1] != '.') return std::nullopt;
  std::uint8_t minor = 0;  // unsigned: from_chars takes no sign then
  const auto [end, error] = std::from_chars(text.data() + 2, text.data() + text.size(), minor);
  if (error != std::errc{} || end - text.data() > 4) return std::nullopt;
  return PythonVersion{text[0] - '0', minor};
}

/// Py_Version (3.11 on) is PY_VERSION_HEX: 0xMMmmppLS.
std::optional<PythonVersion> version_word(const ElfFile& file) {
  constexpr std::array<std::string_view, 1> name{"Py_Version"};
  const auto symbols = file.symbols(name);
  if (symbols.empty()) return std::nullopt;
  const auto bytes = file.bytes_at(symbols.begin()->second.address, sizeof(std::uint32_t));
  if (!bytes) return std::nullopt;
  std::uint32_t word = 0;
  std::memcpy(&word, bytes->data(), sizeof word);
  return PythonVersion{static_cast<int>(word >> 24U), static_cast<int>((word >> 16U) & 0xFFU)};
}

/// The version that the read-only constants name most often.
std::optional<PythonVersion> version_in_constants(const ElfFile& file) {
  const auto* section = file.section(".rodata");
  if (section == nullptr) return std::nullopt;
  const auto bytes = file.contents(*section, 64ULL << 20U);
  const std::string_view text{reinterpret_cast<const char*>(bytes.data()),
                              bytes.size()};  // NOLINT: bytes as text
  std::map<PythonVersion, int> mentions;
  for (auto at = text.find(stem); at != std::string_view::npos; at = text.find(stem, at + 1)) {
    if (const auto version = version_at(text.substr(at + stem.size(), 5))) ++mentions[*version];
  }
  std::optional<PythonVersion> best;
  for (const auto& [version, count] : mentions) {
    if (!best || count > mentions[*best]) best = version;
  }
  return best;
}

}  // namespace

std::optional<PythonVersion> version_in_name(std::string_view name) {
  for (auto at = name.find(stem); at != std::string_view::npos; at = name.find(stem, at + 1)) {
    if (const auto version = version_at(name.substr(at + stem.size()))) return version;
  }
  return std::nullopt;
}

std::optional<DetectedVersion> detect_version(const ElfFile& file, std::string_view file_name) {
  if (const auto version = version_word(file)) return DetectedVersion{*version, "its Py_Version"};
  if (const auto version = version_in_name(file_name)) return DetectedVersion{*version, "its file's name"};
  const auto version = version_in_constants(file);
  return version ? std::optional{DetectedVersion{*version, "the paths in its file"}} : std::nullopt;
}

}  // namespace sampler
