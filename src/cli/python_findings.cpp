#include "python_findings.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace sampler {
namespace {

/// Pythons whose layout nobody has sampled with yet.
constexpr std::array<std::string_view, 1> untested{"3.15t"};

std::string_view note_on(const std::string& version) {
  const bool is_untested = std::find(untested.begin(), untested.end(), version) != untested.end();
  return is_untested ? ", from headers, not tested" : "";
}

}  // namespace

Findings step_findings(std::span<const LocateStep> steps) {
  Findings findings;
  for (const auto& step : steps)
    findings.push_back({step.is_ok ? Verdict::ok : Verdict::note, step.what, {}});
  return findings;
}

Findings interpreter_findings(const ThreadList& list, std::span<const Pid> children) {
  const auto text = fmt::format("it is initialised; interpreters: {}, their threads: {}",
                                list.interpreters.size(), list.threads.size());
  Findings findings;
  if (list.is_damaged) {
    findings.push_back({Verdict::note, text + ", changing while they were counted", {}});
  } else {
    findings.push_back({Verdict::ok, text, {}});
  }
  if (children.empty()) return findings;
  std::string numbers;
  for (const auto child : children) numbers += fmt::format(" {}", number(child));
  findings.push_back({Verdict::note, fmt::format("it has started Python processes:{}", numbers),
                      "they may be the ones that do the work"});
  return findings;
}

std::string pythons_text(const LayoutCatalog& catalog) {
  std::string text{"supported Pythons\n"};
  for (const auto version : catalog.versions()) {
    const auto name = to_string(version);
    text += fmt::format("      {:<7}{}{}\n", name, catalog.find(version).origin(), note_on(name));
  }
  return text;
}

}  // namespace sampler
