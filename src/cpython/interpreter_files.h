#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "sampler/base/result.h"
#include "sampler/elf/elf_file.h"
#include "sampler/process/process.h"

namespace sampler {

/// A file that a process has mapped, and where its parts are.
struct MappedFile {
  FileMapping first;  ///< the mapping at the lowest address
  std::vector<MappedPart> parts;
  bool is_executable = false;  ///< a part of it is
};

/// The files of a process that `is_wanted` says yes of, in the order of their addresses; errno where its
/// mappings cannot be read.
[[nodiscard]] Result<std::vector<MappedFile>, int> mapped_files(
    const Process& process, const std::function<bool(const FileMapping&)>& is_wanted);

/// A file's content, as far as it is an ELF file that we can read.
struct OpenedFile {
  ElfFile elf;
  bool is_by_name = false;  ///< found by its name and told by its inode, not through the mapping itself
};

/// The file of a mapping, or what is wrong with it.
[[nodiscard]] Result<OpenedFile, std::string> open_elf(const Process& process, const FileMapping& mapping);

/// "python3.12", "libpython3.6m.so.1.0", "python": what the file of a CPython is called.
[[nodiscard]] bool is_python_name(std::string_view path);

/// The Python that is not CPython and has files of this name; empty where there is none.
[[nodiscard]] std::string_view other_python(std::string_view path);

/// Whether the link /proc/PID/exe leads to a mapping's file.
[[nodiscard]] bool leads_to(std::string_view exe, const FileMapping& mapping);

}  // namespace sampler
