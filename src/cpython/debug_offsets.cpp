#include "sampler/cpython/debug_offsets.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "sampler/base/error.h"

namespace sampler {
namespace {

constexpr std::string_view cookie = "xdebugpy";
constexpr std::size_t most_words = 1024;
/// What every version's table begins with (pycore_debug_offsets.h).
constexpr std::array<std::string_view, 3> head_words{"cookie", "version", "free_threaded"};

[[noreturn]] void fail(std::string_view file, std::size_t line, const std::string& what) {
  throw Error{ErrorKind::usage, fmt::format("{}:{}: {}", file, line, what)};
}

std::uint64_t word_at(std::span<const std::byte> bytes, std::size_t index) {
  std::uint64_t value = 0;
  std::memcpy(&value, bytes.data() + index * sizeof value, sizeof value);
  return value;
}

bool is_word(std::string_view text) {
  constexpr std::string_view allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.";
  return !text.empty() && text.find_first_not_of(allowed) == std::string_view::npos;
}

/// The file's name without folder and ending: "debug_offsets-3.14".
std::string schema_name(std::string_view file) {
  file.remove_prefix(std::min(file.find_last_of('/') + 1, file.size()));
  return std::string{file.substr(0, file.rfind(".schema"))};
}

}  // namespace

TableSchema parse_schema(std::string_view file, std::string_view text) {
  TableSchema schema{schema_name(file), {}};
  std::size_t line = 0;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    const auto word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++line;
    if (word.empty() || word.starts_with('#')) continue;
    if (!is_word(word)) fail(file, line, fmt::format("'{}' is no word: a line is one name", word));
    if (std::find(schema.words.begin(), schema.words.end(), word) != schema.words.end()) {
      fail(file, line, fmt::format("the word '{}' is repeated", word));
    }
    if (schema.words.size() == most_words) fail(file, line, fmt::format("more than {} words", most_words));
    schema.words.emplace_back(word);
  }
  if (schema.words.size() < head_words.size() ||
      !std::equal(head_words.begin(), head_words.end(), schema.words.begin())) {
    fail(file, line, "the first words must be cookie, version and free_threaded");
  }
  return schema;
}

std::optional<PythonVersion> version_of_table(std::span<const std::byte> head) {
  if (head.size() < table_head_size || std::memcmp(head.data(), cookie.data(), cookie.size()) != 0) {
    return std::nullopt;
  }
  const auto version = word_at(head, 1);  // PY_VERSION_HEX: 0xMMmmppLS
  const auto free_threaded = word_at(head, 2);
  if (version > UINT32_MAX || free_threaded > 1) return std::nullopt;
  return PythonVersion{static_cast<int>(version >> 24U), static_cast<int>((version >> 16U) & 0xFFU),
                       free_threaded == 1};
}

std::optional<std::uint64_t> DebugOffsets::find(std::string_view word) const {
  const auto found = std::find(schema_.words.begin(), schema_.words.end(), word);
  const auto index = static_cast<std::size_t>(found - schema_.words.begin());
  if (found == schema_.words.end() || (index + 1) * sizeof(std::uint64_t) > bytes_.size())
    return std::nullopt;
  return word_at(bytes_, index);
}

std::optional<std::uint64_t> DebugOffsets::struct_size(std::string_view word) const {
  const auto size = std::string{word.substr(0, word.find('.'))} + ".size";
  return word == size ? std::nullopt : find(size);
}

}  // namespace sampler
