#include "sampler/base/file.h"

#include <fcntl.h>
#include <linux/limits.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace sampler {

Result<UniqueFd, int> open_file(const std::string& path, int flags) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC);
  if (fd < 0) return Failure{errno};
  return UniqueFd{fd};
}

Result<std::string, int> read_start(const std::string& path, std::size_t count) {
  const auto file = open_file(path, O_RDONLY | O_NONBLOCK);
  if (!file) return Failure{file.error()};
  std::string text;
  std::array<char, 16384> buffer;
  while (text.size() < count) {
    const auto got = ::read(file->get(), buffer.data(), std::min(buffer.size(), count - text.size()));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Failure{errno};
    if (got == 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
  return text;
}

Result<std::string, int> read_file(const std::string& path, std::size_t limit) {
  auto text = read_start(path, limit + 1);
  if (text && text->size() > limit) return Failure{EFBIG};
  return text;
}

Result<std::string, int> read_link(const std::string& path) {
  std::array<char, PATH_MAX> buffer;
  const auto got = ::readlink(path.c_str(), buffer.data(), buffer.size());
  if (got < 0) return Failure{errno};
  return std::string{buffer.data(), static_cast<std::size_t>(got)};
}

}  // namespace sampler
