#include "cli/layouts.h"

#include <fstream>

#include "catch.h"
#include "sampler/base/error.h"
#include "temporary_directory.h"

namespace sampler {
namespace {

Options with_directory(const std::string& directory) {
  Options options;
  options.layout_directory = directory;
  return options;
}

Error error_of(const std::string& directory) {
  try {
    static_cast<void>(layouts_for(with_directory(directory)));
  } catch (const Error& error) {
    return error;
  }
  FAIL("nothing was thrown");
  return Error{ErrorKind::internal, ""};
}

}  // namespace

TEST_CASE("without a directory the layouts are those built in", "[cli]") {
  CHECK(layouts_for({}).versions() == LayoutCatalog{}.versions());
}

TEST_CASE("a directory that is not there is a mistake of usage with a cure", "[cli]") {
  const auto error = error_of("/nowhere/at/all");
  CHECK(error.kind() == ErrorKind::usage);
  CHECK_THAT(error.what(), Catch::Contains("/nowhere/at/all"));
  CHECK_THAT(error.hint(), Catch::Contains("--layout-dir"));
}

TEST_CASE("a broken file is a mistake of usage that names file and line", "[cli]") {
  const TemporaryDirectory directory;
  std::ofstream{directory.path("x.layout")} << "python 3.99\nnonsense 1\n";
  const auto error = error_of(directory.path(""));
  CHECK(error.kind() == ErrorKind::usage);
  CHECK_THAT(error.what(), Catch::Contains("x.layout:2: the key 'nonsense' is unknown"));
  CHECK_THAT(error.hint(), Catch::Contains("tools/gen_layout.py"));
}

}  // namespace sampler
