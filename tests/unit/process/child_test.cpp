#include "sampler/process/child.h"

#include <sys/stat.h>

#include <cerrno>
#include <fstream>
#include <string>
#include <vector>

#include "catch.h"
#include "test_child.h"

namespace sampler {
namespace {

using Words = std::vector<std::string>;

sigset_t mask_with(std::initializer_list<int> signals) {
  sigset_t mask;
  ::sigemptyset(&mask);
  for (const int signal : signals) ::sigaddset(&mask, signal);
  return mask;
}

/// errno of a command that cannot be started; 0 where it was.
int start_error(const Words& command) {
  try {
    const ChildGuard child{number(start_command(command, mask_with({})))};
    return 0;
  } catch (const CommandError& error) {
    return error.code;
  }
}

/// An executable text file, if `mode` says so.
class ScriptFile {
 public:
  ScriptFile(const std::string& text, mode_t mode) : path_{"/tmp/sampler-test-XXXXXX"} {
    const UniqueFd file{::mkstemp(path_.data())};
    REQUIRE(file);
    REQUIRE(::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    REQUIRE(::fchmod(file.get(), mode) == 0);
  }
  ScriptFile(const ScriptFile&) = delete;
  ScriptFile& operator=(const ScriptFile&) = delete;
  ~ScriptFile() { ::unlink(path_.c_str()); }

  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
};

/// The hexadecimal number behind a key of a process's status.
std::uint64_t status_number(Pid pid, const std::string& key) {
  std::ifstream in{"/proc/" + std::to_string(number(pid)) + "/status"};
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with(key)) return std::stoull(line.substr(key.size()), nullptr, 16);
  }
  FAIL("no " << key);
  return 0;
}

}  // namespace

TEST_CASE("a command is found in PATH, gets its words and has its exit status", "[process]") {
  const ChildGuard child{
      number(start_command(Words{"sh", "-c", "test \"$1\" = 'a b' && exit 7", "sh", "a b"}, mask_with({})))};
  int status = 0;
  REQUIRE(::waitpid(number(child.pid()), &status, 0) == number(child.pid()));
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 7);
}

TEST_CASE("a command that is not there cannot be started", "[process]") {
  CHECK(start_error({"/nonexistent/command"}) == ENOENT);
  CHECK(start_error({"no-command-has-this-name"}) == ENOENT);
}

TEST_CASE("a file that is not executable cannot be started", "[process]") {
  const ScriptFile script{"#!/bin/sh\n", 0600};
  CHECK(start_error({script.path()}) == EACCES);
}

TEST_CASE("a directory cannot be started", "[process]") {
  CHECK(start_error({"/tmp"}) == EACCES);
}

TEST_CASE("a script whose interpreter is not there cannot be started", "[process]") {
  const ScriptFile script{"#!/nonexistent/interpreter\n", 0700};
  CHECK(start_error({script.path()}) == ENOENT);
}

TEST_CASE("a command that could not be started leaves no child", "[process]") {
  CHECK(start_error({"/nonexistent/command"}) == ENOENT);
  CHECK(::waitpid(-1, nullptr, WNOHANG) == -1);
  CHECK(errno == ECHILD);
}

TEST_CASE("a command runs with the signal mask that is given", "[process]") {
  const ChildGuard child{number(start_command(Words{"sleep", "infinity"}, mask_with({SIGUSR1, SIGTERM})))};
  CHECK(status_number(child.pid(), "SigBlk:") == ((1ULL << (SIGUSR1 - 1)) | (1ULL << (SIGTERM - 1))));
}

}  // namespace sampler
