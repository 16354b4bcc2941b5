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

Findings interpreter_findings(std::string_view path, const ThreadList& list) {
  const auto text = fmt::format("the Python in {} is initialised; interpreters: {}, thread states: {}", path,
                                list.interpreters.size(), list.threads.size());
  if (list.is_damaged) return {{Verdict::note, text + ", changing while they were counted", {}}};
  return {{Verdict::ok, text, {}}};
}

Findings children_findings(std::span<const Pid> children) {
  if (children.empty()) return {};
  std::string numbers;
  for (const auto child : children) numbers += fmt::format(" {}", number(child));
  return {{Verdict::note, fmt::format("it has started Python processes:{}", numbers),
           "they may be the ones that do the work"}};
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
