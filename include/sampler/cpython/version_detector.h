#pragma once

#include <optional>
#include <string_view>

#include "sampler/elf/elf_file.h"
#include "sampler/model/python_version.h"

namespace sampler {

/// A version and what told it.
struct DetectedVersion {
  PythonVersion version;
  std::string_view teller;  ///< "its file's name"
};

/// The version of the interpreter in a file: by its Py_Version, else its name ("libpython3.12.so.1.0"), else
/// the library directory that its constants name ("/lib/python3.9"). Nothing where none of them tells.
[[nodiscard]] std::optional<DetectedVersion> detect_version(const ElfFile& file, std::string_view file_name);

/// The X.Y behind "python" in a file name or path: "libpython3.6m.so.1.0" -> 3.6.
[[nodiscard]] std::optional<PythonVersion> version_in_name(std::string_view name);

}  // namespace sampler
