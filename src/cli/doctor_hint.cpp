#include "doctor_hint.h"

#include <fmt/format.h>

namespace sampler {
namespace {

bool is_for_doctor(ErrorKind kind) noexcept {
  switch (kind) {
    case ErrorKind::internal:
    case ErrorKind::usage:
    case ErrorKind::output:
      return false;
    case ErrorKind::no_process:
    case ErrorKind::permission:
    case ErrorKind::not_python:
    case ErrorKind::unsupported_python:
    case ErrorKind::already_traced:
    case ErrorKind::no_stack:
      return true;
  }
  return false;
}

}  // namespace

Error with_doctor(const Error& error, Pid pid) {
  if (!is_for_doctor(error.kind())) return error;
  const auto more = fmt::format("sampler doctor -p {} tells more", number(pid));
  return Error{error.kind(), error.what(), error.hint().empty() ? more : error.hint() + "; " + more};
}

}  // namespace sampler
