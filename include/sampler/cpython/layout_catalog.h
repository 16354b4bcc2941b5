#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "sampler/cpython/layout.h"

namespace sampler {

/// The layouts this program knows: those embedded at build time and, where given, those of a directory.
class LayoutCatalog {
 public:
  /// The embedded layout files; throws Error{internal} where one is broken.
  LayoutCatalog();

  /// Adds every *.layout file of a directory; one for a known version replaces it. Throws Error{usage} naming
  /// file and line of the first mistake.
  void add_directory(const std::filesystem::path& directory);

  /// The layout for exactly this version; throws Error{unsupported_python} saying which versions are
  /// supported.
  [[nodiscard]] const Layout& find(PythonVersion version) const;

  /// Ascending.
  [[nodiscard]] std::vector<PythonVersion> versions() const;

 private:
  std::vector<Layout> layouts_;
};

/// One layout file's text. Strict: an unknown, missing or duplicate key, an offset outside its struct or an
/// absurd size throws Error{usage} with `name` and the line.
[[nodiscard]] Layout parse_layout(std::string_view name, std::string_view text);

}  // namespace sampler
