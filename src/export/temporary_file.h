#pragma once

#include <string>

#include "sampler/base/unique_fd.h"

namespace sampler {

/// A file that is going to replace `target`: new, in the same directory, named `.NAME.sampler-XXXXXXXX`.
/// Removed with this object, unless it took the target's place. It stays with its directory where that is
/// renamed meanwhile.
class TemporaryFile {
 public:
  /// With the mode, and where allowed the owner, of an existing target. Not open where that failed; errno
  /// says why.
  explicit TemporaryFile(const std::string& target);
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile();

  [[nodiscard]] int fd() const noexcept { return fd_; }
  [[nodiscard]] bool is_open() const noexcept { return fd_ >= 0; }
  /// Closes it and gives it the target's name; false, with errno, where either failed.
  [[nodiscard]] bool replace_target();

 private:
  void create();
  [[nodiscard]] bool copy_attributes() const;
  int close() noexcept;

  std::string target_;  ///< without its directory
  UniqueFd directory_;
  std::string name_;  ///< empty: nothing to remove
  int fd_ = -1;       ///< not a UniqueFd, because what its close reports matters
};

}  // namespace sampler
