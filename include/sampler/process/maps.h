#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sampler/base/ids.h"
#include "sampler/base/remote_address.h"
#include "sampler/base/result.h"
#include "sampler/base/unique_fd.h"

namespace sampler {

/// One line of /proc/PID/maps that is backed by a file.
struct FileMapping {
  RemoteAddress start;
  RemoteAddress end;
  std::uint64_t file_offset = 0;
  ino_t inode = 0;
  std::string path;         ///< as the target sees it, without " (deleted)"
  bool deleted = false;     ///< the file has no name any more
  bool executable = false;  ///< its bytes may be run

  friend bool operator==(const FileMapping&, const FileMapping&) = default;
};

/// Takes one mapping, which lives for the call only; false where it wants no more.
using MappingVisitor = std::function<bool(const FileMapping&)>;

/// Hands on the file-backed lines of a maps text that comes in parts; lines that are not in the kernel's form
/// are left out.
class MapsParser {
 public:
  /// The lines that end in this part. False once the visitor wants no more.
  [[nodiscard]] bool take(std::string_view part, const MappingVisitor& visit);
  /// The text has ended, maybe without a newline.
  void end(const MappingVisitor& visit);

 private:
  std::string rest_;  // the start of a line; the kernel's are at most four times PATH_MAX
  FileMapping mapping_;
};

/// Reads /proc/PID/maps part by part: it may be longer than anybody wants to keep.
class MapsReader {
 public:
  /// Of the program that the process runs now; errno where we may not look or there is none.
  [[nodiscard]] static Result<MapsReader, int> open(Pid pid);

  /// Hands on the mappings of some dozens of lines, in the order of their addresses. False at the end, or
  /// once the visitor wants no more; errno where they cannot be read, EFBIG beyond 16 GiB.
  [[nodiscard]] Result<bool, int> step(const MappingVisitor& visit);

 private:
  explicit MapsReader(UniqueFd file) : file_{std::move(file)} {}

  UniqueFd file_;
  MapsParser parser_;
  std::uint64_t taken_ = 0;  // bytes
};

/// The file-backed lines of a maps text, in its order.
[[nodiscard]] std::vector<FileMapping> parse_maps(std::string_view text);

/// The part after the last slash.
[[nodiscard]] std::string_view base_name(std::string_view path);

}  // namespace sampler
