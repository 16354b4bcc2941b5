#include "python_findings.h"

#include <fmt/format.h>

namespace sampler {

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
    text += fmt::format("      {:<7}{}\n", to_string(version), catalog.find(version).origin());
  }
  return text;
}

}  // namespace sampler
