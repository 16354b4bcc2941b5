#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "sampler/base/result.h"
#include "sampler/cpython/debug_offsets.h"
#include "sampler/cpython/layout.h"

namespace sampler {

/// A layout as its file has it: whole, or with fields that the target's own table has to fill in.
struct LayoutSource {
  /// A field that the target tells.
  struct TableField {
    std::string key;   ///< "thread.next"
    std::string word;  ///< of the schema: "thread_state.next"
    std::size_t line = 0;
  };

  /// The file's path, or that it is built in.
  [[nodiscard]] std::string_view origin() const noexcept {
    return name.find('/') == std::string::npos ? std::string_view{"built in"} : name;
  }

  std::string name;    ///< of the file; its path where it is not built in
  Layout layout;       ///< table_fields are absent or 0 in it
  std::string schema;  ///< the name of the table's schema; empty where the layout is whole
  std::vector<TableField> table_fields;
};

/// One layout file's text. Strict: an unknown, missing or duplicate key, an offset outside its struct or an
/// absurd size throws Error{usage} with `name` and the line.
[[nodiscard]] LayoutSource parse_layout(std::string_view name, std::string_view text);

/// The version that a layout file's text is for, without looking at the rest of it. Throws as parse_layout.
[[nodiscard]] PythonVersion version_of_layout(std::string_view name, std::string_view text);

/// The layout with the fields that the target's table tells; or what is wrong with the table, which is
/// untrusted: a word that is missing, absurd or outside its struct.
[[nodiscard]] Result<Layout, std::string> complete_layout(const LayoutSource& source,
                                                          const DebugOffsets& table);

}  // namespace sampler
