#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "finding.h"
#include "sampler/base/ids.h"
#include "sampler/cpython/layout_catalog.h"
#include "sampler/cpython/runtime_locator.h"
#include "sampler/cpython/thread_lister.h"

namespace sampler {

/// The steps on the way to a process's interpreter; one that led nowhere is a note, for another may lead on.
[[nodiscard]] Findings step_findings(std::span<const LocateStep> steps);

/// What runs in the initialised Python of a file.
[[nodiscard]] Findings interpreter_findings(std::string_view path, const ThreadList& list);

/// The Python processes that a process has started.
[[nodiscard]] Findings children_findings(std::span<const Pid> children);

/// The Pythons that can be sampled, and where their layouts are from: a heading and a line for each.
[[nodiscard]] std::string pythons_text(const LayoutCatalog& catalog);

}  // namespace sampler
