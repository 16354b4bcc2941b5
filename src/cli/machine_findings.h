#pragma once

#include "finding.h"
#include "sampler/process/kernel.h"
#include "sampler/process/rights.h"

namespace sampler {

/// What the machine and our rights have to do with sampling any process. One that fails is one with which
/// nothing can be sampled.
[[nodiscard]] Findings machine_findings(const KernelSupport& kernel, const Rights& rights);

}  // namespace sampler
