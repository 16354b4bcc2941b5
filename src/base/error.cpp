#include "sampler/base/error.h"

#include <algorithm>
#include <cstring>

namespace sampler {

Error::Error(ErrorKind kind, const std::string& what, std::string hint)
    : std::runtime_error{what}, kind_{kind}, hint_{std::move(hint)} {}

std::string error_line(const Error& error) {
  return printable(error.hint().empty() ? error.what() : std::string{error.what()} + "; " + error.hint());
}

std::string printable(std::string_view text) {
  std::string line{text};
  std::replace_if(
      line.begin(), line.end(), [](char c) { return (c >= 0 && c < ' ') || c == '\x7f'; }, '?');
  return line;
}

std::string errno_text(int code) {
  const char* text = strerrordesc_np(code);
  return text != nullptr ? text : "error " + std::to_string(code);
}

}  // namespace sampler
