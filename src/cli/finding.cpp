#include "finding.h"

#include <fmt/format.h>

#include <algorithm>

#include "sampler/base/error.h"

namespace sampler {
namespace {

constexpr std::string_view indent = "      ";
constexpr std::size_t width = 80;

std::string_view word_for(Verdict verdict, bool in_colour) noexcept {
  switch (verdict) {
    case Verdict::ok:
      return in_colour ? "\x1b[32mok\x1b[0m    " : "ok    ";
    case Verdict::note:
      return in_colour ? "\x1b[33mnote\x1b[0m  " : "note  ";
    case Verdict::fail:
      return in_colour ? "\x1b[1;31mFAIL\x1b[0m  " : "FAIL  ";
  }
  return {};
}

/// Indented lines of whole words; a word that is too long for a line has one of its own.
std::string indented_lines(std::string_view text) {
  std::string lines;
  std::string line{indent};
  while (!text.empty()) {
    const auto word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(word.size() + 1, text.size()));
    const bool is_first = line.size() == indent.size();
    if (!is_first && line.size() + 1 + word.size() > width) {
      lines += line + "\n";
      line = indent;
    } else if (!is_first) {
      line += ' ';
    }
    line += word;
  }
  return line.size() == indent.size() ? lines : lines + line + "\n";
}

}  // namespace

std::string findings_text(std::string_view heading, std::span<const Finding> findings, bool in_colour) {
  auto text = fmt::format("{}\n", heading);
  for (const auto& finding : findings) {
    text += fmt::format("{}{}\n", word_for(finding.verdict, in_colour), printable(finding.what));
    text += indented_lines(printable(finding.cure));
  }
  return text;
}

bool has_failed(std::span<const Finding> findings) noexcept {
  return std::any_of(findings.begin(), findings.end(),
                     [](const Finding& finding) { return finding.verdict == Verdict::fail; });
}

}  // namespace sampler
