#pragma once

#include "options.h"
#include "sampler/cpython/layout_catalog.h"

namespace sampler {

/// The layouts built in and those of --layout-dir. Throws Error{usage}, which names file and line, where one
/// of those is broken.
[[nodiscard]] LayoutCatalog layouts_for(const Options& options);

}  // namespace sampler
