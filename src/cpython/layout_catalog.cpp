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

[[nodiscard]] std::vector<std::filesystem::path> layout_files(const std::filesystem::path& directory) {
  std::error_code error;
  std::vector<std::filesystem::path> files;
  // A loop over a range would throw what is no Error of ours.
  for (std::filesystem::directory_iterator entry{directory, error}, end; !error && entry != end;
       entry.increment(error)) {
    const auto extension = entry->path().extension();
    if (extension == ".layout" || extension == ".schema") files.push_back(entry->path());
  }
  if (error) {
    throw Error{ErrorKind::usage,
                fmt::format("cannot list layout directory {}: {}", directory.string(), error.message())};
  }
  std::sort(files.begin(), files.end());
  return files;
}

[[nodiscard]] bool is_schema(const std::filesystem::path& file) {
  return file.extension() == ".schema";
}

[[nodiscard]] std::string text_of(const std::filesystem::path& file) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(file, error)) {  // to open a FIFO would wait for ever
    throw Error{ErrorKind::usage, fmt::format("layout file {} is no regular file", file.string())};
  }
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
  for (const auto& [name, text] : embedded_layouts()) {
    if (is_schema(name)) {
      schemas_.insert_or_assign(std::filesystem::path{name}.stem().string(),
                                Lazy<TableSchema, parse_schema>{std::string{name}, std::string{text}, {}});
    } else {
      layouts_.insert_or_assign(version_of_layout(name, text),
                                Lazy<LayoutSource, parse_layout>{std::string{name}, std::string{text}, {}});
    }
  }
}

void LayoutCatalog::add_directory(const std::filesystem::path& directory) {
  std::map<PythonVersion, std::string> added;
  for (const auto& file : layout_files(directory)) {
    if (is_schema(file)) {
      Lazy<TableSchema, parse_schema> schema{file.string(), text_of(file), {}};
      schemas_.insert_or_assign(schema.get().name, std::move(schema));
    } else {
      Lazy<LayoutSource, parse_layout> source{file.string(), text_of(file), {}};
      const auto version = source.get().layout.version;
      const auto [first, is_new] = added.emplace(version, file.string());
      if (!is_new) {
        throw Error{ErrorKind::usage, fmt::format("{}: {} is for Python {} too", file.string(), first->second,
                                                  to_string(version))};
      }
      layouts_.insert_or_assign(version, std::move(source));
    }
  }
  require_schemas();
}

void LayoutCatalog::require_schemas() const {
  for (const auto& [version, file] : layouts_) {
    const auto& source = file.get();
    if (source.schema.empty()) continue;
    const auto found = schemas_.find(source.schema);
    if (found == schemas_.end()) {
      throw Error{ErrorKind::usage,
                  fmt::format("{}: its schema is missing: {}.schema", source.name, source.schema)};
    }
    const auto& schema = found->second.get();
    for (const auto& field : source.table_fields) {
      if (std::find(schema.words.begin(), schema.words.end(), field.word) != schema.words.end()) continue;
      throw Error{ErrorKind::usage, fmt::format("{}:{}: the schema {} has no word '{}'", source.name,
                                                field.line, schema.name, field.word)};
    }
  }
}

const LayoutSource& LayoutCatalog::find(PythonVersion version) const {
  const auto found = layouts_.find(version);
  if (found != layouts_.end()) return found->second.get();
  std::vector<std::string> known;
  for (const auto each : versions()) known.push_back(to_string(each));
  throw Error{
      ErrorKind::unsupported_python,
      fmt::format("CPython {} is not supported; supported are {}", to_string(version),
                  fmt::join(known, ", ")),
      "to add it, make its layout with tools/gen_layout.py and give its folder with --layout-dir; see "
      "docs/adding-a-python.md"};
}

const TableSchema& LayoutCatalog::schema_of(const LayoutSource& source) const {
  return schemas_.at(source.schema).get();
}

std::vector<PythonVersion> LayoutCatalog::versions() const {
  std::vector<PythonVersion> result;
  for (const auto& [version, file] : layouts_) result.push_back(version);
  return result;
}

}  // namespace sampler
