#include "sampler/cpython/layout_catalog.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <system_error>

#include "cpython/embedded_layouts.h"
#include "sampler/base/error.h"

namespace sampler {
namespace {

[[nodiscard]] bool is_below(const Layout& layout, PythonVersion version) noexcept {
  return layout.version < version;
}

/// Keeps `layouts` ascending; a layout for a known version takes the place of the old one.
void put(std::vector<Layout>& layouts, const Layout& added) {
  const auto at = std::lower_bound(layouts.begin(), layouts.end(), added.version, is_below);
  if (at != layouts.end() && at->version == added.version) {
    *at = added;
    return;
  }
  layouts.insert(at, added);
}

[[nodiscard]] std::vector<std::filesystem::path> layout_files(const std::filesystem::path& directory) {
  std::error_code error;
  const std::filesystem::directory_iterator entries{directory, error};
  if (error) {
    throw Error{ErrorKind::usage,
                fmt::format("cannot list layout directory {}: {}", directory.string(), error.message())};
  }
  std::vector<std::filesystem::path> files;
  for (const auto& entry : entries) {
    if (entry.path().extension() == ".layout") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

[[nodiscard]] std::string text_of(const std::filesystem::path& file) {
  const std::ifstream stream{file, std::ios::binary};
  std::ostringstream text;
  if (stream) text << stream.rdbuf();
  if (!stream || text.bad()) {
    throw Error{ErrorKind::usage, fmt::format("cannot read layout file {}", file.string())};
  }
  return text.str();
}

}  // namespace

LayoutCatalog::LayoutCatalog() {
  for (const EmbeddedLayout& embedded : embedded_layouts()) {
    try {
      put(layouts_, parse_layout(embedded.name, embedded.text));
    } catch (const Error& error) {
      throw Error{ErrorKind::internal, fmt::format("an embedded layout is broken: {}", error.what())};
    }
  }
}

void LayoutCatalog::add_directory(const std::filesystem::path& directory) {
  for (const auto& file : layout_files(directory)) put(layouts_, parse_layout(file.string(), text_of(file)));
}

const Layout& LayoutCatalog::find(PythonVersion version) const {
  const auto at = std::lower_bound(layouts_.begin(), layouts_.end(), version, is_below);
  if (at != layouts_.end() && at->version == version) return *at;
  std::vector<std::string> known;
  std::transform(layouts_.begin(), layouts_.end(), std::back_inserter(known),
                 [](const Layout& layout) { return to_string(layout.version); });
  throw Error{
      ErrorKind::unsupported_python,
      fmt::format("CPython {} is not supported; supported are {}", to_string(version),
                  fmt::join(known, ", ")),
      "to add it, make a layout with tools/gen_layout.py from its headers; see docs/adding-a-python.md"};
}

std::vector<PythonVersion> LayoutCatalog::versions() const {
  std::vector<PythonVersion> result;
  std::transform(layouts_.begin(), layouts_.end(), std::back_inserter(result),
                 [](const Layout& layout) { return layout.version; });
  return result;
}

}  // namespace sampler
