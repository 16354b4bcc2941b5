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

TEST_CASE("a control beyond ASCII reaches no terminal, in UTF-8 or as a bare byte", "[base]") {
  CHECK(printable("a\xc2\x9b"
                  "31mb") == "a?31mb");
  CHECK(printable("\xc2\x80 \xc2\x9f \xc2\xa0 \xc3\x9b") == "? ? \xc2\xa0 \xc3\x9b");
  CHECK(printable("a\x9b"
                  "31m\xff\x80") == "a?31m??");
}

TEST_CASE("what is no UTF-8 becomes a question mark for each of its bytes, and hides nothing", "[base]") {
  CHECK(printable("\xc2\x1b[0m") == "??[0m");
  CHECK(printable("\xe2\x80") == "??");
  CHECK(printable("\xc1\x9b \xed\xa0\x80 \xf4\x90\x80\x80") == "?? ??? ????");
  CHECK(printable("\xe2\x82\xac \xf0\x9f\x90\x8d") == "\xe2\x82\xac \xf0\x9f\x90\x8d");
  CHECK(printable("").empty());
}

TEST_CASE("an errno has the kernel's words", "[base]") {
  CHECK(errno_text(ENOENT) == "No such file or directory");
  CHECK(errno_text(EPERM) == "Operation not permitted");
}

TEST_CASE("a number that is no errno is shown as itself", "[base]") {
  CHECK(errno_text(54321) == "error 54321");
}

}  // namespace sampler
