#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sampler/base/remote_address.h"

namespace sampler {

/// One line of /proc/PID/maps that is backed by a file.
struct FileMapping {
  RemoteAddress start;
  RemoteAddress end;
  std::uint64_t file_offset = 0;
  ino_t inode = 0;
  std::string path;      ///< as the target sees it, without " (deleted)"
  bool deleted = false;  ///< the file has no name any more

  friend bool operator==(const FileMapping&, const FileMapping&) = default;
};

/// The file-backed lines of a maps text, in its order; lines that are not in the kernel's form are left out.
[[nodiscard]] std::vector<FileMapping> parse_maps(std::string_view text);

/// The part after the last slash.
[[nodiscard]] std::string_view base_name(std::string_view path);

}  // namespace sampler
