#include "sampler/base/error.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "sampler/base/utf8.h"

namespace sampler {
namespace {

/// Of one valid UTF-8 sequence: C0, DEL or C1 (U+0080 to U+009F), whose U+009B is the same as ESC [.
bool is_control(std::string_view character) noexcept {
  const auto first = static_cast<unsigned char>(character.front());
  if (first == 0xC2) return static_cast<unsigned char>(character[1]) < 0xA0;
  return first < 0x20 || first == 0x7F;
}

}  // namespace

Error::Error(ErrorKind kind, const std::string& what, std::string hint)
    : std::runtime_error{what}, kind_{kind}, hint_{std::move(hint)} {}

std::string error_line(const Error& error) {
  return printable(error.hint().empty() ? error.what() : std::string{error.what()} + "; " + error.hint());
}

std::string printable(std::string_view text) {
  std::string line;
  line.reserve(text.size());
  while (!text.empty()) {
    const auto length = valid_sequence(text);
    const auto character = text.substr(0, std::max(length, std::size_t{1}));
    line.append(length == 0 || is_control(character) ? "?" : character);
    text.remove_prefix(character.size());
  }
  return line;
}

std::string errno_text(int code) {
  const char* text = strerrordesc_np(code);
  return text != nullptr ? text : "error " + std::to_string(code);
}

}  // namespace sampler
