#pragma once

#include <span>
#include <string>

#include "sampler/base/ids.h"
#include "sampler/export/format_registry.h"
#include "sampler/model/run.h"
#include "sampler/model/sample.h"
#include "sampler/model/stack_table.h"

namespace sampler {

/// One thread of a dump.
struct DumpedThread {
  Tid tid{};
  ThreadActivity activity;
  StackId stack = StackId::empty;
};

/// What every thread does, for people: a heading per thread, then its calls, the most recent first. In
/// Pyflame's style exactly its own dump: "TID:", or "TID*:" for the GIL's holder, and one line per frame.
[[nodiscard]] std::string dump_text(std::span<const DumpedThread> threads, const StackTable& stacks,
                                    const RunInfo& info, const FormatOptions& options);

}  // namespace sampler
