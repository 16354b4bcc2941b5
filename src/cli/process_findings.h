#pragma once

#include "finding.h"
#include "process_facts.h"
#include "sampler/process/rights.h"

namespace sampler {

/// What a process is and what of that bears on sampling it: who it is, whose, where and of which kind.
[[nodiscard]] Findings process_findings(const ProcessFacts& facts, const Rights& rights);

/// That /proc hides the process from us.
[[nodiscard]] Finding hidden_finding(Pid pid, const Rights& rights);

}  // namespace sampler
