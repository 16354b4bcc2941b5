#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sampler/cpython/layout_source.h"

namespace sampler {

/// The layouts this program knows: those embedded at build time and, where given, those of a directory. The
/// embedded ones are read when they are asked for: a run needs one of them.
class LayoutCatalog {
 public:
  /// The embedded layout and schema files.
  LayoutCatalog();

  /// Adds every *.layout and *.schema file of a directory; one for a known version, or of a known name,
  /// replaces it. Throws Error{usage} naming file and line of the first mistake.
  void add_directory(const std::filesystem::path& directory);

  /// The layout for exactly this version; throws Error{unsupported_python} saying which versions are
  /// supported.
  [[nodiscard]] const LayoutSource& find(PythonVersion version) const;
  /// The schema that a layout of this catalog names.
  [[nodiscard]] const TableSchema& schema_of(const LayoutSource& source) const;

  /// Ascending.
  [[nodiscard]] std::vector<PythonVersion> versions() const;

 private:
  /// A file that is parsed at most once, and only where it is needed.
  template <class T, T (*Parse)(std::string_view name, std::string_view text)>
  struct Lazy {
    std::string name;
    std::string text;
    mutable std::optional<T> value;

    [[nodiscard]] const T& get() const {
      if (!value) value = Parse(name, text);
      return *value;
    }
  };

  void require_schemas() const;

  std::map<PythonVersion, Lazy<LayoutSource, parse_layout>> layouts_;
  std::map<std::string, Lazy<TableSchema, parse_schema>, std::less<>> schemas_;
};

}  // namespace sampler
