#include "sampler/export/frame_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "sampler/base/ascii.h"
#include "sampler/export/path_shortener.h"

namespace sampler {
namespace {

constexpr std::string_view placeholder = "<unnamed>";

struct CodePoint {
  char32_t value;
  std::size_t length;  // in bytes
};

constexpr std::size_t sequence_length(unsigned char lead) noexcept {
  if (lead < 0xC0) return 1;
  if (lead < 0xE0) return 2;
  return lead < 0xF0 ? 3 : 4;
}

CodePoint first_code_point(std::string_view text) noexcept {
  const auto lead = static_cast<unsigned char>(text.front());
  const auto length = sequence_length(lead);
  if (length > text.size()) return {0xFFFD, text.size()};
  char32_t value = length == 1 ? lead : lead & (0x7FU >> length);
  for (std::size_t i = 1; i < length; ++i)
    value = (value << 6U) | (static_cast<unsigned char>(text[i]) & 0x3FU);
  return {value, length};
}

constexpr bool is_control(char32_t c) noexcept {
  return c < 0x20 || (c >= 0x7F && c < 0xA0);
}

// White space and line separators beyond ASCII: what some reader splits or trims at (Perl's \s and Python's
// splitlines() under Unicode), and U+FEFF, which readers drop at the start of a file.
constexpr bool is_wide_space(char32_t c) noexcept {
  return c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 ||
         c == 0x202F || c == 0x205F || c == 0x3000 || c == 0xFEFF;
}

std::optional<std::string> escape_of(char32_t c) {
  switch (c) {
    case U'\\':
      return "\\\\";
    case U'\n':
      return "\\n";
    case U'\r':
      return "\\r";
    case U'\t':
      return "\\t";
    default:
      break;
  }
  if (c != U';' && !is_control(c) && !is_wide_space(c)) return std::nullopt;
  return c <= 0xFF ? fmt::format("\\x{:02x}", static_cast<unsigned>(c))
                   : fmt::format("\\u{:04x}", static_cast<unsigned>(c));
}

void escape_at(std::string& text, std::size_t at) {
  text.replace(at, 1, fmt::format("\\x{:02x}", static_cast<unsigned>(static_cast<unsigned char>(text[at]))));
}

// With decoded input Perl's \d takes digits of any script, so every byte beyond ASCII counts as one here.
constexpr bool may_be_of_number(char c) noexcept {
  return is_digit(c) || c == '.' || static_cast<unsigned char>(c) >= 0x80;
}

// flamegraph.pl: /^(.*)\s+?(\d+(?:\.\d*)?)$/, applied a second time to what precedes the count.
void guard_end(std::string& text) {
  const auto space = text.rfind(' ');
  if (space == std::string::npos) return;
  const auto tail = std::string_view{text}.substr(space + 1);
  if (std::all_of(tail.begin(), tail.end(), may_be_of_number)) escape_at(text, space);
}

void guard_start(std::string& text) {
  if (text.starts_with(' ') || text.starts_with('#')) escape_at(text, 0);
}

std::string guarded(std::string text) {
  guard_end(text);
  guard_start(text);
  return text;
}

// The text of a name or file; the placeholder stays what stands for nothing, and for nothing else.
std::string piece(std::string_view text) {
  if (text.empty()) return std::string{placeholder};
  auto escaped = escape_text(text);
  if (text == placeholder) escape_at(escaped, 0);
  return escaped;
}

// The first " (" of a frame ends its name.
std::string name_before_parenthesis(std::string_view name) {
  auto text = piece(name);
  for (auto at = text.find(" ("); at != std::string::npos; at = text.find(" (", at)) escape_at(text, at);
  return text;
}

// A file "a:3" without a line is not line 3 of "a".
std::string file_before_line(std::string_view file) {
  auto text = piece(file);
  const auto colon = text.rfind(':');
  if (colon == std::string::npos || colon + 1 == text.size()) return text;
  if (std::all_of(text.begin() + static_cast<std::ptrdiff_t>(colon) + 1, text.end(), is_digit))
    escape_at(text, colon);
  return text;
}

std::string sampler_text(std::string_view name, std::string_view file, std::uint32_t line) {
  const auto function = name_before_parenthesis(name);
  const auto place = file_before_line(file);
  return line == 0 ? fmt::format("{} ({})", function, place)
                   : fmt::format("{} ({}:{})", function, place, line);
}

std::string without_colons(std::string_view text) {
  auto result = piece(text);
  for (auto at = result.find(':'); at != std::string::npos; at = result.find(':', at)) escape_at(result, at);
  return result;
}

std::string pyflame_text(std::string_view name, std::string_view file, std::uint32_t line, bool with_line) {
  const auto place_and_function = fmt::format("{}:{}", without_colons(file), without_colons(name));
  return with_line ? fmt::format("{}:{}", place_and_function, line) : place_and_function;
}

std::vector<std::string_view> file_names(const StackTable& stacks) {
  std::vector<std::string_view> files;
  for (std::size_t i = 0; i < stacks.frame_count(); ++i) {
    const auto& frame = stacks.frame(static_cast<FrameId>(i));
    if (frame.kind == FrameKind::python) files.push_back(stacks.text(frame.file));
  }
  std::sort(files.begin(), files.end());
  files.erase(std::unique(files.begin(), files.end()), files.end());
  return files;
}

ShortPaths shown_paths(const StackTable& stacks, const FormatOptions& options,
                       std::string_view working_directory) {
  if (options.full_paths || options.style == FrameStyle::pyflame) return {};
  return shorten_paths(file_names(stacks), working_directory);
}

std::string text_of(const StackTable& stacks, const Frame& frame, const ShortPaths& paths,
                    const FormatOptions& options) {
  if (frame.kind == FrameKind::mark) return frame_text(frame, stacks.text(frame.name), {}, options);
  const auto file = stacks.text(frame.file);
  const auto shown = paths.find(file);
  return frame_text(frame, stacks.text(frame.name), shown == paths.end() ? file : shown->second, options);
}

}  // namespace

std::string escape_text(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    const auto [value, length] = first_code_point(text);
    const auto escape = escape_of(value);
    result.append(escape ? std::string_view{*escape} : text.substr(0, length));
    text.remove_prefix(length);
  }
  return result;
}

std::string frame_text(const Frame& frame, std::string_view name, std::string_view file,
                       const FormatOptions& options) {
  if (frame.kind == FrameKind::mark) return std::string{name};
  switch (options.style) {
    case FrameStyle::sampler:
      return guarded(sampler_text(name, file, options.line_numbers ? frame.line : 0));
    case FrameStyle::pyflame:
      return guarded(pyflame_text(name, file, frame.line, options.line_numbers));
  }
  return {};
}

std::vector<std::string> frame_texts(const StackTable& stacks, const FormatOptions& options,
                                     std::string_view working_directory) {
  const auto paths = shown_paths(stacks, options, working_directory);
  std::vector<std::string> texts;
  texts.reserve(stacks.frame_count());
  for (std::size_t i = 0; i < stacks.frame_count(); ++i) {
    texts.push_back(text_of(stacks, stacks.frame(static_cast<FrameId>(i)), paths, options));
  }
  return texts;
}

}  // namespace sampler
