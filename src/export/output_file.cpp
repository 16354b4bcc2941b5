#include "sampler/export/output_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <climits>
#include <limits>
#include <streambuf>
#include <string_view>
#include <utility>

#include "fd_buffer.h"
#include "sampler/base/error.h"
#include "sampler/base/file.h"
#include "temporary_file.h"

namespace sampler {
namespace {

constexpr int wait_ms = 50;

/// The descriptor of ours that a path names: -o /dev/stdout must not replace the file behind it.
std::optional<int> inherited_descriptor(std::string_view path) {
  if (path.empty() || path == "-" || path == "/dev/stdout") return STDOUT_FILENO;
  if (path == "/dev/stderr") return STDERR_FILENO;
  for (const std::string_view directory : {"/dev/fd/", "/proc/self/fd/"}) {
    if (!path.starts_with(directory)) continue;
    const auto digits = path.substr(directory.size());
    int fd = -1;
    const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), fd);
    if (code == std::errc{} && end == digits.data() + digits.size()) return fd;
  }
  return std::nullopt;
}

std::string directory_of(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string joined(const std::string& directory, const std::string& name) {
  if (name.starts_with('/')) return name;
  return directory.ends_with('/') ? directory + name : directory + '/' + name;
}

/// What a symlink says; empty where the path is none.
std::string link_text(const std::string& path) {
  std::array<char, PATH_MAX> text{};
  const auto length = ::readlink(path.c_str(), text.data(), text.size());
  return length <= 0 ? std::string{} : std::string{text.data(), static_cast<std::size_t>(length)};
}

/// The file that the path's last name leads to, which need not exist; empty for a loop.
std::string follow_links(std::string path) {
  constexpr int links_followed_by_linux = 40;
  for (int i = 0; i <= links_followed_by_linux; ++i) {
    const auto next = link_text(path);
    if (next.empty()) return path;
    path = joined(directory_of(path), next);
  }
  return {};
}

std::string cure(int code, const std::string& path) {
  switch (code) {
    case ENOENT:
    case ENOTDIR:
      return fmt::format("create the directory '{}' first, or choose another -o", directory_of(path));
    case EISDIR:
      return fmt::format("name a file in it, such as -o {}", joined(path, "out.samp"));
    case EACCES:
    case EPERM:
    case EROFS:
      return "choose a file you may write in a directory you may write, or -o - for standard output";
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return "make room, or choose another -o";
    case EPIPE:
      return "its reader has closed it: one that reads to the end is needed, such as flamegraph.pl < FIFO";
    case ENXIO:
    case EINTR:
      return "open its other end for reading, such as flamegraph.pl < FIFO";
    default:
      return "choose another -o, or -o - for standard output";
  }
}

std::string cause(int code) {
  return code == EINTR ? "stopped while it had to wait for a reader" : errno_text(code);
}

/// 0 once the descriptor takes bytes without blocking, or the errno to give up with.
int wait_writable(int fd, const OutputFile::KeepWaiting& keep_waiting) {
  for (;;) {
    pollfd state{.fd = fd, .events = POLLOUT, .revents = 0};
    if (::poll(&state, 1, wait_ms) > 0) return 0;
    if (!keep_waiting()) return EINTR;
  }
}

/// The directory takes no new file, which does not matter to one that is there.
bool refuses_neighbour(int code) noexcept {
  return code == EACCES || code == EPERM || code == EROFS || code == ENAMETOOLONG;
}

/// The file cannot be replaced, which does not matter where it can be written.
bool refuses_rename(int code) noexcept {
  return code == EBUSY || code == EXDEV || code == EACCES || code == EPERM || code == EROFS;
}

/// The mount that an open file is in; nothing where /proc does not tell.
std::optional<int> mount_of(int fd) {
  constexpr std::string_view key = "mnt_id:\t";
  const auto info = read_file(fmt::format("/proc/self/fdinfo/{}", fd));
  const auto at = info ? info->find(key) : std::string::npos;
  if (at == std::string::npos) return std::nullopt;
  int mount = 0;
  const auto digits = std::string_view{*info}.substr(at + key.size());
  const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), mount);
  return code == std::errc{} ? std::optional{mount} : std::nullopt;
}

/// In a sticky directory (/tmp) a file of somebody else's may be writable, but not ours to replace.
bool is_protected_by_sticky(const std::string& path) {
  struct stat directory {};
  if (::stat(directory_of(path).c_str(), &directory) != 0) return false;
  if ((directory.st_mode & S_ISVTX) == 0 || directory.st_uid == ::geteuid()) return false;
  // The right to O_NOATIME is the right that counts: the file's owner's, or CAP_FOWNER.
  const UniqueFd as_owner{::open(path.c_str(), O_WRONLY | O_NOATIME | O_CLOEXEC)};
  return !as_owner && errno == EPERM;
}

/// Whether a rename will put another file in the place of this one. A file that is mounted by itself, as
/// into a container, has another mount than its neighbour: a rename to it is EBUSY.
bool is_replaceable(const std::string& path, int file, int neighbour) {
  const auto mount = mount_of(file);
  const auto mount_of_directory = mount_of(neighbour);
  const bool is_mounted = mount && mount_of_directory && *mount != *mount_of_directory;
  return !is_mounted && !is_protected_by_sticky(path);
}

constexpr auto any_size = std::numeric_limits<std::size_t>::max();

int at_once(int /*fd*/) {
  return 0;
}

/// Counts what is written to it.
class CountingBuffer final : public std::streambuf {
 public:
  [[nodiscard]] std::streamsize count() const noexcept { return count_; }

 protected:
  int_type overflow(int_type c) override {
    ++count_;
    return traits_type::not_eof(c);
  }
  std::streamsize xsputn(const char* /*text*/, std::streamsize count) override {
    count_ += count;
    return count;
  }

 private:
  std::streamsize count_ = 0;
};

std::streamsize size_of(const OutputFile::Produce& produce) {
  CountingBuffer buffer;
  std::ostream stream{&buffer};
  produce(stream);
  return buffer.count();
}

/// Room on the disk for this many bytes of a file, whose size stays. 0, or why there is none; a filesystem
/// that cannot tell has it.
int reserve(int fd, std::streamsize size) noexcept {
  if (size == 0 || ::fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, size) == 0) return 0;
  return errno == ENOSPC || errno == EDQUOT || errno == EFBIG ? errno : 0;
}

/// 0, or the errno of the first failure.
int copy_to(int fd, std::size_t piece, const FdBuffer::MayWrite& may_write,
            const OutputFile::Produce& produce) {
  FdBuffer buffer{fd, piece, may_write};
  std::ostream stream{&buffer};
  produce(stream);
  stream.flush();
  return buffer.error();
}

}  // namespace

OutputFile::OutputFile(std::string path) : path_{std::move(path)} {
  if (const auto fd = inherited_descriptor(path_)) {
    open_inherited(*fd);
  } else {
    open_path();
  }
}

void OutputFile::open_inherited(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0) fail(errno);
  if ((flags & O_ACCMODE) == O_RDONLY) fail(EBADF);
  fd_ = fd;
}

void OutputFile::open_path() {
  struct stat status {};
  // stat, so that the kernel's own rules on links in shared directories (fs.protected_symlinks) decide first.
  if (::stat(path_.c_str(), &status) != 0) {
    if (errno != ENOENT) fail(errno);
    return open_file(false);
  }
  switch (status.st_mode & S_IFMT) {
    case S_IFDIR:
      fail(EISDIR);
    case S_IFREG:
      return open_file(true);
    case S_IFIFO:
      // Opening one here would tell its reader that the profile ends as soon as it is closed.
      if (::faccessat(AT_FDCWD, path_.c_str(), W_OK, AT_EACCESS) != 0) fail(errno);
      kind_ = Kind::fifo;
      return;
    default:
      return open_device();
  }
}

void OutputFile::open_device() {
  opened_ = UniqueFd{::open(path_.c_str(), O_WRONLY | O_NOCTTY | O_CLOEXEC)};
  if (!opened_) fail(errno);
  fd_ = opened_.get();
}

void OutputFile::open_file(bool is_there) {
  kind_ = Kind::file;
  target_ = follow_links(path_);
  if (target_.empty()) fail(ELOOP);
  if (target_.ends_with('/')) fail(ENOENT);
  // rename would replace a file that its owner made read-only.
  if (is_there) opened_ = UniqueFd{::open(path_.c_str(), O_WRONLY | O_CLOEXEC)};
  if (is_there && !opened_) fail(errno);
  const TemporaryFile temporary{target_};
  if (!temporary.is_open() && !(is_there && refuses_neighbour(errno))) fail(errno);
  if (is_there && (!temporary.is_open() || !is_replaceable(target_, opened_.get(), temporary.fd()))) {
    kind_ = Kind::file_in_place;
  } else {
    opened_ = UniqueFd{};
  }
}

bool OutputFile::keeps_last_write() const noexcept {
  struct stat now {};
  return last_write_ && ::stat(target_.c_str(), &now) == 0 && now.st_dev == last_write_->device &&
         now.st_ino == last_write_->inode;
}

UniqueFd OutputFile::open_fifo(const KeepWaiting& keep_waiting) const {
  for (;;) {
    UniqueFd fd{::open(path_.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC)};
    if (fd) return fd;
    if (errno != ENXIO && errno != EINTR) fail(errno);
    ::poll(nullptr, 0, wait_ms);
    if (!keep_waiting()) fail(EINTR);
  }
}

WriteOutcome OutputFile::write(const Produce& produce, const KeepWaiting& keep_waiting) {
  switch (kind_) {
    case Kind::file:
      replace_file(produce);
      return WriteOutcome::written;
    case Kind::file_in_place:
      write_in_place(produce);
      return WriteOutcome::written;
    case Kind::fifo:
      return write_stream(open_fifo(keep_waiting).get(), produce, keep_waiting);
    case Kind::descriptor:
      return write_stream(fd_, produce, keep_waiting);
  }
  return WriteOutcome::written;
}

void OutputFile::replace_file(const Produce& produce) {
  TemporaryFile temporary{target_};
  if (!temporary.is_open() && refuses_neighbour(errno) && go_on_in_place(produce)) return;
  if (!temporary.is_open()) fail(errno);
  if (const int code = copy_to(temporary.fd(), any_size, at_once, produce); code != 0) fail(code);
  struct stat written {};
  if (::fstat(temporary.fd(), &written) != 0) fail(errno);
  if (!temporary.replace_target()) {
    const int code = errno;
    if (refuses_rename(code) && go_on_in_place(produce)) return;
    fail(code);
  }
  last_write_ = Identity{written.st_dev, written.st_ino};
}

bool OutputFile::go_on_in_place(const Produce& produce) {
  const int code = errno;
  opened_ = UniqueFd{::open(target_.c_str(), O_WRONLY | O_CLOEXEC)};
  errno = code;
  if (!opened_) return false;
  kind_ = Kind::file_in_place;
  write_in_place(produce);
  return true;
}

void OutputFile::write_in_place(const Produce& produce) {
  const int fd = opened_.get();
  // The most likely failure, a full disk, comes while the content of before is still whole.
  if (const int code = reserve(fd, size_of(produce)); code != 0) fail(code);
  last_write_.reset();
  if (::lseek(fd, 0, SEEK_SET) != 0) fail(errno);
  if (const int code = copy_to(fd, any_size, at_once, produce); code != 0) fail(code);
  if (::ftruncate(fd, ::lseek(fd, 0, SEEK_CUR)) != 0) fail(errno);
  // A filesystem of a network tells of a write that failed when a descriptor is closed.
  if (const int copy = ::dup(fd); copy < 0 || (::close(copy) != 0 && errno != EINTR)) fail(errno);
  struct stat written {};
  if (::fstat(fd, &written) != 0) fail(errno);
  last_write_ = Identity{written.st_dev, written.st_ino};
}

WriteOutcome OutputFile::write_stream(int fd, const Produce& produce, const KeepWaiting& keep_waiting) const {
  // A pipe that poll calls writable takes PIPE_BUF bytes without blocking, so a signal is never waited out.
  const auto may_write = [&](int to) { return wait_writable(to, keep_waiting); };
  const int code = copy_to(fd, PIPE_BUF, may_write, produce);
  // Who closes a standard output has had enough; the reader of a FIFO came for the profile.
  if (code == EPIPE && kind_ != Kind::fifo) return WriteOutcome::closed;
  if (code != 0) fail(code);
  return WriteOutcome::written;
}

void OutputFile::fail(int code) const {
  const bool is_stdout = path_.empty() || path_ == "-";
  const auto name = is_stdout ? std::string{"standard output"} : fmt::format("'{}'", path_);
  throw Error{ErrorKind::output, fmt::format("cannot write {}: {}", name, cause(code)),
              is_stdout ? "write to a file with -o out.samp" : cure(code, target_.empty() ? path_ : target_)};
}

}  // namespace sampler
