#include "sampler/cpython/py_string.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "sampler/base/utf8.h"

namespace sampler {
namespace {

using Bytes = std::vector<std::byte>;

[[nodiscard]] Failure<ReadError> nonsense_at(RemoteAddress address) {
  return Failure{ReadError{address, 0, EINVAL}};
}

[[nodiscard]] Result<Bytes, ReadError> read_block(RemoteMemory& memory, RemoteAddress from,
                                                  std::size_t size) {
  Bytes block(size);
  if (size == 0) return block;
  if (const auto done = memory.read(from, block); !done) return Failure{done.error()};
  return block;
}

/// The value at `offset`, which lies within `bytes`.
template <class T>
[[nodiscard]] T value_at(std::span<const std::byte> bytes, std::size_t offset) noexcept {
  T value{};
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

/// How many characters of a string to copy.
struct BoundedLength {
  std::size_t count = 0;
  bool shortened = false;
};

[[nodiscard]] std::optional<BoundedLength> bound(std::int64_t length) noexcept {
  if (length < 0) return std::nullopt;
  const auto count = static_cast<std::uint64_t>(length);
  return BoundedLength{std::min(count, std::uint64_t{longest_string}), count > longest_string};
}

[[nodiscard]] Result<RawString, ReadError> copy_characters(RemoteMemory& memory, RemoteAddress from,
                                                           BoundedLength length, std::size_t width,
                                                           RawString::Coding coding) {
  auto data = read_block(memory, from, length.count * width);
  if (!data) return Failure{data.error()};
  return RawString{std::move(*data), coding, length.shortened};
}

[[nodiscard]] Result<RawString, ReadError> copy_byte_string(RemoteMemory& memory, const Layout& layout,
                                                            RemoteAddress address) {
  const auto size = read_as<std::int64_t>(memory, address + layout.object.var_size.offset);
  if (!size) return Failure{size.error()};
  const auto length = bound(*size);
  if (!length) return nonsense_at(address);
  return copy_characters(memory, address + layout.bytes.data.offset, *length, 1, RawString::Coding::bytes);
}

/// The head of a PEP 393 string.
struct UnicodeHead {
  std::int64_t length = 0;
  std::uint32_t kind = 0;
  bool is_compact = false;
  bool is_ascii = false;
};

[[nodiscard]] Result<UnicodeHead, ReadError> read_head(RemoteMemory& memory, const UnicodeLayout& layout,
                                                       RemoteAddress address) {
  const std::uint32_t first = std::min(layout.length.offset, layout.state.offset);
  const std::size_t end =
      std::max(layout.length.offset + sizeof(std::int64_t), layout.state.offset + sizeof(std::uint32_t));
  const auto head = read_block(memory, address + first, end - first);
  if (!head) return Failure{head.error()};
  const auto state = value_at<std::uint32_t>(*head, layout.state.offset - first);
  return UnicodeHead{.length = value_at<std::int64_t>(*head, layout.length.offset - first),
                     .kind = (state >> layout.kind_shift) & 7,
                     .is_compact = ((state >> layout.compact_shift) & 1) != 0,
                     .is_ascii = ((state >> layout.ascii_shift) & 1) != 0};
}

/// Where the characters are.
[[nodiscard]] Result<RemoteAddress, ReadError> find_characters(RemoteMemory& memory,
                                                               const UnicodeLayout& layout,
                                                               RemoteAddress address,
                                                               const UnicodeHead& head) {
  if (!head.is_compact) return read_as<RemoteAddress>(memory, address + layout.legacy_data.offset);
  return address + (head.is_ascii ? layout.ascii_data.offset : layout.compact_data.offset);
}

/// The kind of a string is also the width of its characters; 0 is a string that nobody has looked at yet.
[[nodiscard]] std::optional<RawString::Coding> coding_of(std::uint32_t kind) noexcept {
  if (kind == 1) return RawString::Coding::latin1;
  if (kind == 2) return RawString::Coding::ucs2;
  if (kind == 4) return RawString::Coding::ucs4;
  return std::nullopt;
}

[[nodiscard]] Result<RawString, ReadError> copy_unicode(RemoteMemory& memory, const Layout& layout,
                                                        RemoteAddress address) {
  const auto head = read_head(memory, layout.unicode, address);
  if (!head) return Failure{head.error()};
  const auto length = bound(head->length);
  const auto coding = coding_of(head->kind);
  if (!length || !coding) return nonsense_at(address);
  const auto from = find_characters(memory, layout.unicode, address, *head);
  if (!from) return Failure{from.error()};
  return copy_characters(memory, *from, *length, head->kind, *coding);
}

[[nodiscard]] constexpr bool is_surrogate(std::uint32_t character) noexcept {
  return character >= 0xD800 && character <= 0xDFFF;
}

[[nodiscard]] char low_byte(std::uint32_t value) noexcept {
  return static_cast<char>(value & 0xFF);
}

/// One continuation byte: the 6 bits of `character` from bit `shift` on.
[[nodiscard]] char continuation(std::uint32_t character, unsigned shift) noexcept {
  return low_byte(0x80 | ((character >> shift) & 0x3F));
}

void append_utf8(std::string& text, std::uint32_t character) {
  if (character < 0x80) {
    text += low_byte(character);
    return;
  }
  if (character < 0x800) {
    text += {low_byte(0xC0 | (character >> 6)), continuation(character, 0)};
    return;
  }
  if (character < 0x1'0000) {
    text += {low_byte(0xE0 | (character >> 12)), continuation(character, 6), continuation(character, 0)};
    return;
  }
  text += {low_byte(0xF0 | (character >> 18)), continuation(character, 12), continuation(character, 6),
           continuation(character, 0)};
}

void append_character(std::string& text, std::uint32_t character) {
  constexpr std::uint32_t replacement = 0xFFFD;
  constexpr std::uint32_t last_character = 0x10'FFFF;
  if (is_surrogate(character)) {
    fmt::format_to(std::back_inserter(text), "\\u{:04x}", character);
    return;
  }
  append_utf8(text, character > last_character ? replacement : character);
}

template <class T>
[[nodiscard]] std::string decode_characters(std::span<const std::byte> data) {
  std::string text;
  text.reserve(data.size() / sizeof(T));
  for (std::size_t at = 0; at + sizeof(T) <= data.size(); at += sizeof(T)) {
    append_character(text, value_at<T>(data, at));
  }
  return text;
}

[[nodiscard]] std::string decode_bytes(std::span<const std::byte> data) {
  std::string bytes(data.size(), '\0');
  std::transform(data.begin(), data.end(), bytes.begin(),
                 [](std::byte byte) { return static_cast<char>(byte); });
  std::string text;
  text.reserve(bytes.size());
  for (std::string_view rest{bytes}; !rest.empty();) {
    const std::size_t length = valid_sequence(rest);
    if (length == 0)
      fmt::format_to(std::back_inserter(text), "\\x{:02x}", static_cast<unsigned char>(rest.front()));
    text += rest.substr(0, length);
    rest.remove_prefix(std::max(length, std::size_t{1}));
  }
  return text;
}

}  // namespace

Result<RawString, ReadError> copy_string(RemoteMemory& memory, const Layout& layout, RemoteAddress address) {
  switch (layout.traits.strings) {
    case StringKind::byte_string:
      return copy_byte_string(memory, layout, address);
    case StringKind::unicode:
      return copy_unicode(memory, layout, address);
  }
  return nonsense_at(address);
}

std::string decode_string(const RawString& string) {
  switch (string.coding) {
    case RawString::Coding::bytes:
      return decode_bytes(string.data);
    case RawString::Coding::latin1:
      return decode_characters<std::uint8_t>(string.data);
    case RawString::Coding::ucs2:
      return decode_characters<std::uint16_t>(string.data);
    case RawString::Coding::ucs4:
      return decode_characters<std::uint32_t>(string.data);
  }
  return {};
}

}  // namespace sampler
