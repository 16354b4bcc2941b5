#include "sampler/base/standard_streams.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <string>

#include "catch.h"
#include "sampler/base/error.h"
#include "sampler/base/unique_fd.h"

namespace sampler {
namespace {

/// The status of waitpid(2) of a child that does this and ends with what it returns.
template <class Body>
int status_of_child(Body body) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::signal(SIGPIPE, SIG_DFL);
    ::_exit(body());
  }
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  return status;
}

/// A child's exit status; -1 where it was killed.
template <class Body>
int result_of_child(Body body) {
  const int status = status_of_child(body);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/// Puts a pipe without a reader in the place of a descriptor.
void break_pipe(int fd) {
  std::array<int, 2> ends{};
  static_cast<void>(::pipe(ends.data()));
  ::dup2(ends[1], fd);
  ::close(ends[0]);
}

void replace(int fd, const char* path) {
  const UniqueFd file{::open(path, O_WRONLY)};
  ::dup2(file.get(), fd);
}

/// 8 where printing is an Error{output}, 0 where it is none.
int print_result() {
  try {
    print("text");
    return 0;
  } catch (const Error& error) {
    return static_cast<int>(error.kind());
  }
}

}  // namespace

TEST_CASE("what is said goes to standard error as it is", "[base]") {
  std::array<int, 2> ends{};
  REQUIRE(::pipe(ends.data()) == 0);
  const UniqueFd reader{ends[0]};
  const UniqueFd writer{ends[1]};
  CHECK(result_of_child([&] {
          ::dup2(writer.get(), STDERR_FILENO);
          say("{} %s\n");
          return 0;
        }) == 0);
  std::array<char, 16> got{};
  CHECK(::read(reader.get(), got.data(), got.size()) == 6);
  CHECK(std::string{got.data()} == "{} %s\n");
}

TEST_CASE("what cannot be said is dropped, and no signal comes of it", "[base]") {
  const auto say_and_go_on = [] {
    say("text");
    sigset_t pending;
    ::sigpending(&pending);
    return ::sigismember(&pending, SIGPIPE) == 1 ? 1 : 7;
  };
  CHECK(result_of_child([&] { return break_pipe(STDERR_FILENO), say_and_go_on(); }) == 7);
  CHECK(result_of_child([&] { return replace(STDERR_FILENO, "/dev/full"), say_and_go_on(); }) == 7);
  CHECK(result_of_child([&] { return ::close(STDERR_FILENO), say_and_go_on(); }) == 7);
  CHECK(result_of_child([&] { return replace(STDERR_FILENO, "/dev/null"), say_and_go_on(); }) == 7);
}

TEST_CASE("a reader of standard error that takes nothing is not waited for for ever", "[base]") {
  std::array<int, 2> ends{};
  REQUIRE(::pipe(ends.data()) == 0);
  const UniqueFd reader{ends[0]};
  const UniqueFd writer{ends[1]};
  CHECK(result_of_child([&] {
          ::dup2(writer.get(), STDERR_FILENO);
          ::alarm(10);
          say(std::string(1'000'000, 'x'), std::chrono::milliseconds{0});
          say(std::string(1'000'000, 'x'), std::chrono::milliseconds{1});
          return 7;
        }) == 7);
}

TEST_CASE("a file that is opened later does not take the place of a closed standard descriptor", "[base]") {
  CHECK(result_of_child([] {
          for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::close(fd);
          reserve_standard_descriptors();
          return ::open("/dev/null", O_RDWR);
        }) > STDERR_FILENO);
}

TEST_CASE("a closed standard descriptor whose place is taken is closed to us and to a command", "[base]") {
  CHECK(result_of_child([] {
          ::close(STDOUT_FILENO);
          reserve_standard_descriptors();
          const bool is_refused = ::write(STDOUT_FILENO, "x", 1) < 0 && errno == EBADF;
          const bool ends_with_exec = (::fcntl(STDOUT_FILENO, F_GETFD) & FD_CLOEXEC) != 0;
          return is_refused && ends_with_exec ? 7 : 1;
        }) == 7);
}

TEST_CASE("standard descriptors that are open stay as they are", "[base]") {
  CHECK(result_of_child([] {
          const int before = ::fcntl(STDOUT_FILENO, F_GETFD);
          reserve_standard_descriptors();
          return before >= 0 && ::fcntl(STDOUT_FILENO, F_GETFD) == before ? 7 : 1;
        }) == 7);
}

TEST_CASE("a standard output that cannot be written is an error, one whose reader has gone is none",
          "[base]") {
  const int output = static_cast<int>(ErrorKind::output);
  CHECK(result_of_child([] { return replace(STDOUT_FILENO, "/dev/full"), print_result(); }) == output);
  CHECK(result_of_child([] { return ::close(STDOUT_FILENO), print_result(); }) == output);
  CHECK(result_of_child([] { return replace(STDOUT_FILENO, "/dev/null"), print_result(); }) == 0);
  CHECK(result_of_child([] { return break_pipe(STDOUT_FILENO), print_result(); }) == 0);
}

}  // namespace sampler
