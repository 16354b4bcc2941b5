#include "cli/doctor_hint.h"

#include "catch.h"

namespace sampler {

TEST_CASE("an error of attaching says that the doctor tells more", "[cli]") {
  CHECK(error_line(
            with_doctor(Error{ErrorKind::permission, "cannot trace process 42", "run as root"}, Pid{42})) ==
        "cannot trace process 42; run as root; sampler doctor -p 42 tells more");
  CHECK(error_line(with_doctor(Error{ErrorKind::no_stack, "no stack taken"}, Pid{42})) ==
        "no stack taken; sampler doctor -p 42 tells more");
}

TEST_CASE("an error keeps its kind", "[cli]") {
  for (const auto kind : {ErrorKind::no_process, ErrorKind::not_python, ErrorKind::unsupported_python,
                          ErrorKind::already_traced}) {
    const auto error = with_doctor(Error{kind, "what"}, Pid{42});
    CHECK(error.kind() == kind);
    CHECK(error.hint() == "sampler doctor -p 42 tells more");
  }
}

TEST_CASE("errors that have nothing to do with the process stay as they are", "[cli]") {
  for (const auto kind : {ErrorKind::internal, ErrorKind::usage, ErrorKind::output}) {
    CHECK(error_line(with_doctor(Error{kind, "what", "cure"}, Pid{42})) == "what; cure");
  }
}

}  // namespace sampler
