#include "cpython/interpreter_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "sampler/base/error.h"
#include "sampler/base/log.h"

namespace sampler {
namespace {

bool is_same_file(const FileMapping& a, const FileMapping& b) {
  return a.inode == b.inode && a.path == b.path && a.deleted == b.deleted;
}

}  // namespace

Result<std::vector<MappedFile>, int> mapped_files(const Process& process,
                                                  const std::function<bool(const FileMapping&)>& is_wanted) {
  std::vector<MappedFile> files;
  std::unordered_multimap<ino_t, std::size_t> places;  // in files
  const auto file_of = [&](const FileMapping& mapping) -> MappedFile& {
    // The mappings of a file mostly follow each other.
    if (!files.empty() && is_same_file(files.back().first, mapping)) return files.back();
    const auto [begin, end] = places.equal_range(mapping.inode);
    const auto known = std::find_if(
        begin, end, [&](const auto& place) { return is_same_file(files[place.second].first, mapping); });
    if (known != end) return files[known->second];
    places.emplace(mapping.inode, files.size());
    return files.emplace_back(MappedFile{mapping, {}, false});
  };
  const auto done = visit_mappings(process.pid(), [&](const FileMapping& mapping) {
    if (!is_wanted(mapping)) return true;
    auto& file = file_of(mapping);
    file.parts.push_back({mapping.start.value, mapping.file_offset});
    file.is_executable = file.is_executable || mapping.executable;
    return true;
  });
  if (!done) return Failure{done.error()};
  return files;
}

Result<OpenedFile, std::string> open_elf(const Process& process, const FileMapping& mapping) {
  auto file = process.open_mapping(mapping);
  if (!file) {
    log(LogLayer::cpython, LogLevel::info,
        fmt::format("cannot open {} of process {}: {}", mapping.path, number(process.pid()),
                    errno_text(file.error())));
    return Failure{"cannot be opened: " + errno_text(file.error())};
  }
  auto elf = ElfFile::open(std::move(file->file));
  if (!elf) return Failure<std::string>{"is no x86-64 ELF file"};
  return OpenedFile{std::move(*elf), file->is_by_name};
}

bool is_python_name(std::string_view path) {
  if (!other_python(path).empty()) return false;
  auto name = base_name(path);
  if (name.starts_with("lib")) name.remove_prefix(3);
  return name.starts_with("python");
}

std::string_view other_python(std::string_view path) {
  const auto name = base_name(path);
  if (name.starts_with("libpypy") || name.starts_with("pypy")) return "PyPy";
  // GraalPy's C API has CPython's names, and other objects behind them.
  if (name.starts_with("libpythonvm.") || name.starts_with("libpython-native.")) return "GraalPy";
  return {};
}

bool leads_to(std::string_view exe, const FileMapping& mapping) {
  if (!exe.starts_with(mapping.path)) return false;
  const auto rest = exe.substr(mapping.path.size());
  return rest.empty() || (mapping.deleted && rest == " (deleted)");
}

}  // namespace sampler
