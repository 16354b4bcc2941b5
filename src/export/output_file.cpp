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
#include <string_view>
#include <utility>

#include "fd_buffer.h"
#include "sampler/base/error.h"
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
    return open_file(std::nullopt);
  }
  switch (status.st_mode & S_IFMT) {
    case S_IFDIR:
      fail(EISDIR);
    case S_IFREG:
      return open_file(status.st_mode);
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
  device_ = UniqueFd{::open(path_.c_str(), O_WRONLY | O_NOCTTY | O_CLOEXEC)};
  if (!device_) fail(errno);
  fd_ = device_.get();
}

void OutputFile::open_file(std::optional<mode_t> mode_of_existing) {
  kind_ = Kind::file;
  target_ = follow_links(path_);
  if (target_.empty()) fail(ELOOP);
  if (target_.ends_with('/')) fail(ENOENT);
  // rename would replace a file that its owner made read-only.
  if (mode_of_existing && !UniqueFd{::open(path_.c_str(), O_WRONLY | O_CLOEXEC)}) fail(errno);
  if (!TemporaryFile{target_}.is_open()) fail(errno);
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
    case Kind::fifo:
      return write_stream(open_fifo(keep_waiting).get(), produce, keep_waiting);
    case Kind::descriptor:
      return write_stream(fd_, produce, keep_waiting);
  }
  return WriteOutcome::written;
}

void OutputFile::replace_file(const Produce& produce) const {
  TemporaryFile temporary{target_};
  if (!temporary.is_open()) fail(errno);
  constexpr auto any_size = std::numeric_limits<std::size_t>::max();
  if (const int code = copy_to(
          temporary.fd(), any_size, [](int) { return 0; }, produce);
      code != 0)
    fail(code);
  if (!temporary.replace_target()) fail(errno);
}

WriteOutcome OutputFile::write_stream(int fd, const Produce& produce, const KeepWaiting& keep_waiting) const {
  // A pipe that poll calls writable takes PIPE_BUF bytes without blocking, so a signal is never waited out.
  const auto may_write = [&](int to) { return wait_writable(to, keep_waiting); };
  const int code = copy_to(fd, PIPE_BUF, may_write, produce);
  if (code == EPIPE) return WriteOutcome::closed;
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
