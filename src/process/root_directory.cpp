#include "process/root_directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "sampler/base/file.h"

namespace sampler {
namespace {

/// The part of a path up to the next slash; both are taken off.
std::string take_name(std::string_view& path) {
  path.remove_prefix(std::min(path.find_first_not_of('/'), path.size()));
  std::string name{path.substr(0, path.find('/'))};
  path.remove_prefix(name.size());
  return name;
}

}  // namespace

std::string_view path_below_root(std::string_view path, std::string_view root_link) {
  const auto below = path.substr(std::min(root_link.size(), path.size()));
  return path.starts_with(root_link) && below.starts_with('/') ? below : path;
}

Result<UniqueFd, int> open_below(const std::string& start, std::string_view path,
                                 std::optional<ino_t> inode) {
  auto place = open_file(start, O_PATH);
  while (place && path.find_first_not_of('/') != std::string_view::npos) {
    const auto name = take_name(path);
    if (name == "..") return Failure{ENOENT};
    UniqueFd next{::openat(place->get(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC)};
    if (!next) return Failure{errno};
    place = std::move(next);
  }
  if (!place) return place;
  struct stat facts {};
  if (::fstat(place->get(), &facts) != 0) return Failure{errno};
  if (!S_ISREG(facts.st_mode) || facts.st_ino != inode.value_or(facts.st_ino)) return Failure{ENOENT};
  return open_file(fmt::format("/proc/self/fd/{}", place->get()), O_RDONLY);
}

}  // namespace sampler
