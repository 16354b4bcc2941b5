#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "sampler/base/remote_address.h"
#include "sampler/base/result.h"
#include "sampler/cpython/layout.h"
#include "sampler/memory/remote_memory.h"

namespace sampler {

/// The characters of a string object as they lie in the target, to be decoded when no thread waits for it.
struct RawString {
  enum class Coding : std::uint8_t {
    bytes,   ///< of unspecified encoding
    latin1,  ///< 1 byte per character, ASCII included
    ucs2,    ///< 2 bytes per character
    ucs4,    ///< 4 bytes per character
  };

  std::vector<std::byte> data;
  Coding coding = Coding::bytes;
  bool shortened = false;  ///< the string is longer than what was copied

  friend bool operator==(const RawString&, const RawString&) = default;
};

/// Characters copied of a string, at most.
inline constexpr std::size_t longest_string = 65'536;

/// Copies the string object at `address` in two reads, or three where its characters lie elsewhere; what
/// cannot be a string is an error with code EINVAL.
[[nodiscard]] Result<RawString, ReadError> copy_string(RemoteMemory& memory, const Layout& layout,
                                                       RemoteAddress address);

/// Always valid UTF-8: a surrogate becomes the text \udXXX, a byte of a byte string that is not UTF-8 \xNN, a
/// number that is no character U+FFFD.
[[nodiscard]] std::string decode_string(const RawString& string);

}  // namespace sampler
