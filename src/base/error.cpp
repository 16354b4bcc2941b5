#include "sampler/base/error.h"

#include <cstring>

namespace sampler {

Error::Error(ErrorKind kind, const std::string& what, std::string hint)
    : std::runtime_error{what}, kind_{kind}, hint_{std::move(hint)} {}

std::string error_line(const Error& error) {
  return error.hint().empty() ? error.what() : std::string{error.what()} + "; " + error.hint();
}

std::string errno_text(int code) {
  const char* text = strerrordesc_np(code);
  return text != nullptr ? text : "error " + std::to_string(code);
}

}  // namespace sampler
