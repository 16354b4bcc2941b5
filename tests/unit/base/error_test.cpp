#include "sampler/base/error.h"

#include <cerrno>

#include "catch.h"

namespace sampler {

TEST_CASE("an error and its cure are one line", "[base]") {
  const Error error{ErrorKind::permission, "cannot trace process 7", "run as root"};
  CHECK(error_line(error) == "cannot trace process 7; run as root");
  CHECK(error.kind() == ErrorKind::permission);
}

TEST_CASE("an error without a cure ends without a semicolon", "[base]") {
  CHECK(error_line(Error{ErrorKind::internal, "it broke"}) == "it broke");
}

TEST_CASE("an error is one line that cannot steer a terminal", "[base]") {
  const Error error{ErrorKind::not_python, "process 7 (a\x1b[31mEVIL\nX\x7f\xc3\xa9)", "see\r/a\tb"};
  CHECK(error_line(error) == "process 7 (a?[31mEVIL?X?\xc3\xa9); see?/a?b");
}

TEST_CASE("an errno has the kernel's words", "[base]") {
  CHECK(errno_text(ENOENT) == "No such file or directory");
  CHECK(errno_text(EPERM) == "Operation not permitted");
}

TEST_CASE("a number that is no errno is shown as itself", "[base]") {
  CHECK(errno_text(54321) == "error 54321");
}

}  // namespace sampler
