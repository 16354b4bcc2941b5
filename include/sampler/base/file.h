#pragma once

#include <cstddef>
#include <string>

#include "sampler/base/result.h"
#include "sampler/base/unique_fd.h"

namespace sampler {

/// The first `count` bytes of a file, or errno.
[[nodiscard]] Result<std::string, int> read_start(const std::string& path, std::size_t count);

/// All of a file, or errno: EFBIG where it has more than `limit` bytes.
[[nodiscard]] Result<std::string, int> read_file(const std::string& path, std::size_t limit = 16U << 20U);

/// What a symbolic link says, or errno.
[[nodiscard]] Result<std::string, int> read_link(const std::string& path);

/// open(2) with O_CLOEXEC, or errno.
[[nodiscard]] Result<UniqueFd, int> open_file(const std::string& path, int flags);

}  // namespace sampler
