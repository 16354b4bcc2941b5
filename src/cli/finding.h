#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sampler {

/// How a step of the doctor ended: well, with something to know, or so that sampling does not work.
enum class Verdict { ok, note, fail };

/// One step of the doctor.
struct Finding {
  Verdict verdict = Verdict::ok;
  std::string what;  ///< what was tried and found
  std::string cure;  ///< what to do; may be empty

  friend bool operator==(const Finding&, const Finding&) = default;
};

using Findings = std::vector<Finding>;

/// A heading, then a line for each finding and its cure below it, indented and at most 80 columns wide. What
/// a process is called may be anything: control characters are shown as '?'.
[[nodiscard]] std::string findings_text(std::string_view heading, std::span<const Finding> findings,
                                        bool in_colour);

/// Whether one of them fails.
[[nodiscard]] bool has_failed(std::span<const Finding> findings) noexcept;

}  // namespace sampler
