#include "sampler/process/maps.h"

#include <charconv>
#include <optional>

namespace sampler {
namespace {

/// The text up to the next run of spaces; both are taken off `line`.
std::string_view take_word(std::string_view& line) {
  const auto end = std::min(line.find(' '), line.size());
  const auto word = line.substr(0, end);
  const auto next = line.find_first_not_of(' ', end);
  line.remove_prefix(next == std::string_view::npos ? line.size() : next);
  return word;
}

template <class T>
bool parse_number(std::string_view text, int base, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return error == std::errc{} && end == text.data() + text.size();
}

std::optional<FileMapping> parse_line(std::string_view line) {
  constexpr std::string_view deleted_mark = " (deleted)";
  FileMapping mapping;
  const auto range = take_word(line);
  const auto dash = range.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  take_word(line);  // permissions
  const auto offset = take_word(line);
  take_word(line);  // device
  const auto inode = take_word(line);
  if (!parse_number(range.substr(0, dash), 16, mapping.start.value) ||
      !parse_number(range.substr(dash + 1), 16, mapping.end.value) ||
      !parse_number(offset, 16, mapping.file_offset) || !parse_number(inode, 10, mapping.inode)) {
    return std::nullopt;
  }
  if (line.empty() || line.front() != '/') return std::nullopt;
  mapping.deleted = line.ends_with(deleted_mark);
  if (mapping.deleted) line.remove_suffix(deleted_mark.size());
  mapping.path = line;
  return mapping;
}

}  // namespace

std::vector<FileMapping> parse_maps(std::string_view text) {
  std::vector<FileMapping> mappings;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    if (auto mapping = parse_line(text.substr(0, end))) mappings.push_back(std::move(*mapping));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return mappings;
}

std::string_view base_name(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

}  // namespace sampler
