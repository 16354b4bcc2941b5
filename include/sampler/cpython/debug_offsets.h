#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sampler/model/python_version.h"

namespace sampler {

/// The words of one version's _Py_DebugOffsets, the table of its own offsets that a CPython from 3.13 on
/// publishes at the start of _PyRuntime: names like "thread_state.next" in their order, 8 bytes each.
struct TableSchema {
  std::string name;
  std::vector<std::string> words;
};

/// One schema file's text: a word a line. Strict: a repeated or malformed word, or a start that is not the
/// cookie, version and free_threaded of every table, throws Error{usage} with `file` and the line.
[[nodiscard]] TableSchema parse_schema(std::string_view file, std::string_view text);

/// The bytes that tell whether there is a table, and whose.
inline constexpr std::size_t table_head_size = 24;

/// Which CPython a table is of, from its first table_head_size bytes; nothing where they are no table's.
[[nodiscard]] std::optional<PythonVersion> version_of_table(std::span<const std::byte> head);

/// A table as read from a target.
class DebugOffsets {
 public:
  /// `bytes` as many as the schema's words take, or fewer: the words beyond are missing.
  DebugOffsets(const TableSchema& schema, std::span<const std::byte> bytes)
      : schema_{schema}, bytes_{bytes} {}

  /// A word's value; nothing where the table has no such word.
  [[nodiscard]] std::optional<std::uint64_t> find(std::string_view word) const;
  /// The size of the struct that a word is a place in ("thread_state.size" for "thread_state.next"); nothing
  /// for a size itself, and where the table does not tell.
  [[nodiscard]] std::optional<std::uint64_t> struct_size(std::string_view word) const;

 private:
  const TableSchema& schema_;
  std::span<const std::byte> bytes_;
};

}  // namespace sampler
