#include "sampler/process/child.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <vector>

#include "sampler/base/error.h"
#include "sampler/base/unique_fd.h"

namespace sampler {
namespace {

/// In the child: becomes the command, or reports errno through `report` and ends.
[[noreturn]] void become(std::span<char* const> arguments, const sigset_t& mask, int report) {
  ::sigprocmask(SIG_SETMASK, &mask, nullptr);
  ::execvp(arguments.front(), arguments.data());
  const int code = errno;
  static_cast<void>(!::write(report, &code, sizeof code));
  ::_exit(127);
}

}  // namespace

Pid start_command(std::span<const std::string> command, const sigset_t& mask) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0)
    throw Error{ErrorKind::internal, "cannot make a pipe: " + errno_text(errno)};
  const UniqueFd read_end{ends[0]};
  UniqueFd write_end{ends[1]};
  std::vector<char*> arguments;
  for (const auto& word : command)
    arguments.push_back(const_cast<char*>(word.c_str()));  // NOLINT: execvp's type
  arguments.push_back(nullptr);
  const pid_t pid = ::fork();
  if (pid < 0) throw Error{ErrorKind::internal, "cannot start a process: " + errno_text(errno)};
  if (pid == 0) become(arguments, mask, write_end.get());
  write_end = UniqueFd{};
  // The pipe closes when the exec succeeds; otherwise errno arrives.
  int code = 0;
  ssize_t got = 0;
  while ((got = ::read(read_end.get(), &code, sizeof code)) < 0 && errno == EINTR) {
  }
  if (got == 0) return Pid{pid};
  ::waitpid(pid, nullptr, 0);
  throw CommandError{got == static_cast<ssize_t>(sizeof code) ? code : EIO};
}

}  // namespace sampler
