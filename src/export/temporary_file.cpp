#include "temporary_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <random>
#include <utility>

namespace sampler {
namespace {

// NAME_MAX is 255; a name cut here leaves room for what is put around it.
constexpr std::size_t longest_kept_name = 200;

std::string neighbour_name(const std::string& target, std::uint32_t random) {
  return fmt::format(".{}.sampler-{:08x}", target.substr(0, longest_kept_name), random);
}

}  // namespace

TemporaryFile::TemporaryFile(const std::string& target) {
  const auto slash = target.rfind('/');
  const auto name_at = slash == std::string::npos ? 0 : slash + 1;
  target_ = target.substr(name_at);
  const auto directory = name_at == 0 ? "." : target.substr(0, name_at);
  directory_ = UniqueFd{::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
  if (!directory_) return;
  create();
  if (!is_open() || copy_attributes()) return;
  const int code = errno;
  close();
  errno = code;
}

TemporaryFile::~TemporaryFile() {
  const int code = errno;  // of whoever is unwinding
  close();
  if (!name_.empty()) ::unlinkat(directory_.get(), name_.c_str(), 0);
  errno = code;
}

void TemporaryFile::create() {
  std::random_device random;
  constexpr int tries = 100;  // 32 random bits: a second try is already unlikely
  for (int i = 0; i < tries; ++i) {
    auto name = neighbour_name(target_, random());
    fd_ =
        ::openat(directory_.get(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (is_open()) name_ = std::move(name);
    if (is_open() || errno != EEXIST) return;
  }
}

int TemporaryFile::close() noexcept {
  return is_open() ? ::close(std::exchange(fd_, -1)) : 0;
}

bool TemporaryFile::copy_attributes() const {
  struct stat existing {};
  if (::fstatat(directory_.get(), target_.c_str(), &existing, 0) != 0) return errno == ENOENT;
  // Giving a file away takes privileges; without them the owner is ours, as it would be of a new file.
  const bool is_given = ::fchown(fd_, existing.st_uid, existing.st_gid) == 0 || errno == EPERM;
  // After fchown, which clears set-user-ID bits.
  return is_given && ::fchmod(fd_, existing.st_mode & 07777U) == 0;
}

bool TemporaryFile::replace_target() {
  if (close() != 0 && errno != EINTR) return false;  // Linux closes it also where it reports EINTR
  if (::renameat(directory_.get(), name_.c_str(), directory_.get(), target_.c_str()) != 0) return false;
  name_.clear();
  return true;
}

}  // namespace sampler
