#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>

#include "sampler/base/result.h"
#include "sampler/base/unique_fd.h"

namespace sampler {

/// The path of a file below a process's root. /proc/PID/maps has paths from our own root on where we can see
/// the file, so that they lead through the process's root first, which its link in /proc names in the same
/// way.
[[nodiscard]] std::string_view path_below_root(std::string_view path, std::string_view root_link);

/// Opens the regular file of this inode, or of any where none is given, that a path leads to from `start`, or
/// `start` itself where there is no path, for reading. No symbolic link of the path is followed, not in the
/// middle either: the kernel would follow an absolute one from our root. Nothing else than the file is
/// opened, since to open a device can set it to work.
[[nodiscard]] Result<UniqueFd, int> open_below(const std::string& start, std::string_view path,
                                               std::optional<ino_t> inode);

}  // namespace sampler
