#include "layouts.h"

#include "sampler/base/error.h"

namespace sampler {

LayoutCatalog layouts_for(const Options& options) {
  LayoutCatalog catalog;
  if (options.layout_directory.empty()) return catalog;
  try {
    catalog.add_directory(options.layout_directory);
  } catch (const Error& error) {
    throw Error{error.kind(), error.what(),
                "--layout-dir takes a directory of files as tools/gen_layout.py makes them"};
  }
  return catalog;
}

}  // namespace sampler
