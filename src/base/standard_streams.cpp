#include "sampler/base/standard_streams.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdint>
#include <ctime>

#include "sampler/base/error.h"

namespace sampler {
namespace {

using Clock = std::chrono::steady_clock;

/// While this lives a write to a pipe without a reader is EPIPE, and nothing more.
class NoSigpipe {
 public:
  NoSigpipe() noexcept {
    ::sigemptyset(&set_);
    ::sigaddset(&set_, SIGPIPE);
    sigset_t pending;
    was_pending_ = ::sigpending(&pending) == 0 && ::sigismember(&pending, SIGPIPE) == 1;
    ::pthread_sigmask(SIG_BLOCK, &set_, &before_);
  }
  NoSigpipe(const NoSigpipe&) = delete;
  NoSigpipe& operator=(const NoSigpipe&) = delete;
  ~NoSigpipe() {
    const int code = errno;  // of the write
    const timespec at_once{};
    if (!was_pending_) ::sigtimedwait(&set_, nullptr, &at_once);
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    errno = code;
  }

 private:
  sigset_t set_{};
  sigset_t before_{};
  bool was_pending_ = false;
};

/// Whether a write would not block, after this long; -1 is for ever. True also where it would fail.
bool is_writable(int fd, int milliseconds) noexcept {
  pollfd state{.fd = fd, .events = POLLOUT, .revents = 0};
  return ::poll(&state, 1, milliseconds) > 0;
}

/// Writes a piece that a pipe which poll calls writable takes without blocking; what write(2) returns.
ssize_t write_piece(int fd, std::string_view text) noexcept {
  return ::write(fd, text.data(), std::min<std::size_t>(text.size(), PIPE_BUF));
}

}  // namespace

void reserve_standard_descriptors() noexcept {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    // The lowest number that is free is this one. "/" is there also in an empty root, where /dev/null is not.
    if (::fcntl(fd, F_GETFD) < 0) static_cast<void>(::open("/", O_PATH | O_CLOEXEC));
  }
}

void say(std::string_view text, std::chrono::milliseconds patience) noexcept {
  static std::atomic<bool> is_stuck{false};  // once is enough to have waited in vain
  const NoSigpipe no_sigpipe;
  const auto end = is_stuck ? Clock::now() : Clock::now() + patience;
  while (!text.empty()) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now());
    if (!is_writable(STDERR_FILENO, static_cast<int>(std::max<std::int64_t>(left.count(), 0)))) {
      is_stuck = is_stuck || patience.count() > 0;
      return;
    }
    is_stuck = false;
    const auto written = write_piece(STDERR_FILENO, text);
    if (written < 0 && errno != EINTR) return;
    if (written > 0) text.remove_prefix(static_cast<std::size_t>(written));
  }
}

void print(std::string_view text) {
  const NoSigpipe no_sigpipe;
  while (!text.empty()) {
    static_cast<void>(is_writable(STDOUT_FILENO, -1));
    const auto written = write_piece(STDOUT_FILENO, text);
    if (written < 0 && errno == EPIPE) return;
    if (written < 0 && errno != EINTR && errno != EAGAIN) {
      throw Error{ErrorKind::output, "cannot write to standard output: " + errno_text(errno),
                  "redirect it to a file that can be written"};
    }
    if (written > 0) text.remove_prefix(static_cast<std::size_t>(written));
  }
}

}  // namespace sampler
