#include "sampler/cpython/py_string.h"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "catch.h"

namespace {

using sampler::copy_string;
using sampler::decode_string;
using sampler::Layout;
using sampler::RawString;
using sampler::ReadError;
using sampler::RemoteAddress;
using sampler::Result;
using Coding = sampler::RawString::Coding;

constexpr RemoteAddress base{0x7f00'0000'1000};
constexpr std::uint32_t compact = 1U << 5;
constexpr std::uint32_t ascii = 1U << 6;

/// A piece of memory at `base`, and nothing around it.
class FakeMemory final : public sampler::RemoteMemory {
 public:
  explicit FakeMemory(std::size_t size) : bytes_(size) {}

  Result<void, ReadError> read(RemoteAddress from, std::span<std::byte> into) noexcept override {
    ++reads;
    const std::uint64_t offset = from.value - base.value;
    if (from < base || offset > bytes_.size() || into.size() > bytes_.size() - offset) {
      return sampler::Failure{ReadError{from, static_cast<std::uint32_t>(into.size()), EFAULT}};
    }
    std::memcpy(into.data(), bytes_.data() + offset, into.size());
    return {};
  }

  template <class T>
  void put(std::size_t offset, T value) {
    std::memcpy(bytes_.data() + offset, &value, sizeof(T));
  }
  void put_text(std::size_t offset, std::string_view text) {
    std::memcpy(bytes_.data() + offset, text.data(), text.size());
  }

  int reads = 0;

 private:
  std::vector<std::byte> bytes_;
};

Layout unicode_layout() {
  Layout layout;
  layout.traits.strings = sampler::StringKind::unicode;
  layout.object.var_size.offset = 16;
  layout.bytes.data.offset = 32;
  layout.unicode.length.offset = 16;
  layout.unicode.state.offset = 32;
  layout.unicode.ascii_data.offset = 40;
  layout.unicode.compact_data.offset = 56;
  layout.unicode.legacy_data.offset = 56;
  layout.unicode.kind_shift = 2;
  layout.unicode.compact_shift = 5;
  layout.unicode.ascii_shift = 6;
  return layout;
}

Layout byte_string_layout() {
  Layout layout = unicode_layout();
  layout.traits.strings = sampler::StringKind::byte_string;
  layout.bytes.data.offset = 36;
  return layout;
}

void put_head(FakeMemory& memory, std::int64_t length, std::uint32_t kind, std::uint32_t flags) {
  memory.put<std::int64_t>(16, length);
  memory.put<std::uint32_t>(32, (kind << 2) | flags);
}

std::string copied_text(FakeMemory& memory, const Layout& layout) {
  const auto raw = copy_string(memory, layout, base);
  REQUIRE(raw);
  return decode_string(*raw);
}

int code_of_copy(FakeMemory& memory, const Layout& layout) {
  const auto raw = copy_string(memory, layout, base);
  return raw ? 0 : raw.error().code;
}

std::string decoded(Coding coding, std::string_view data) {
  const auto bytes = std::as_bytes(std::span{data});
  return decode_string({.data = {bytes.begin(), bytes.end()}, .coding = coding});
}

}  // namespace

TEST_CASE("an ASCII string is copied in two reads", "[cpython]") {
  FakeMemory memory{64};
  put_head(memory, 5, 1, compact | ascii);
  memory.put_text(40, "hello");
  CHECK(copied_text(memory, unicode_layout()) == "hello");
  CHECK(memory.reads == 2);
}

TEST_CASE("a Latin-1 string becomes UTF-8", "[cpython]") {
  FakeMemory memory{64};
  put_head(memory, 4, 1, compact);
  memory.put_text(56,
                  "na\xEF"
                  "g");
  CHECK(copied_text(memory, unicode_layout()) == "na\u00EFg");
}

TEST_CASE("a string of 2-byte characters becomes UTF-8", "[cpython]") {
  FakeMemory memory{64};
  put_head(memory, 2, 2, compact);
  memory.put<std::uint16_t>(56, 0x0394);
  memory.put<std::uint16_t>(58, 0x6F22);
  CHECK(copied_text(memory, unicode_layout()) == "\u0394\u6F22");
}

TEST_CASE("a string of 4-byte characters becomes UTF-8", "[cpython]") {
  FakeMemory memory{64};
  put_head(memory, 2, 4, compact);
  memory.put<std::uint32_t>(56, 0x1F40D);
  memory.put<std::uint32_t>(60, 'x');
  CHECK(copied_text(memory, unicode_layout()) == "\U0001F40Dx");
}

TEST_CASE("a string that is not compact is found through its pointer", "[cpython]") {
  FakeMemory memory{128};
  put_head(memory, 3, 1, 0);
  memory.put<std::uint64_t>(56, (base + 100).value);
  memory.put_text(100, "abc");
  CHECK(copied_text(memory, unicode_layout()) == "abc");
}

TEST_CASE("a byte string is copied as it is", "[cpython]") {
  FakeMemory memory{64};
  memory.put<std::int64_t>(16, 4);
  memory.put_text(36, "f\xC3\xA9!");
  CHECK(copied_text(memory, byte_string_layout()) == "f\u00E9!");
}

TEST_CASE("an empty string is a string", "[cpython]") {
  FakeMemory memory{40};
  put_head(memory, 0, 1, compact | ascii);
  CHECK(copied_text(memory, unicode_layout()).empty());
}

TEST_CASE("a longer string is cut and says so", "[cpython]") {
  FakeMemory memory{40 + 2 * sampler::longest_string};
  put_head(memory, std::numeric_limits<std::int64_t>::max(), 1, compact | ascii);
  const auto raw = copy_string(memory, unicode_layout(), base);
  REQUIRE(raw);
  CHECK(raw->shortened);
  CHECK(raw->data.size() == sampler::longest_string);
}

TEST_CASE("a string of exactly the limit is whole", "[cpython]") {
  FakeMemory memory{40 + sampler::longest_string};
  put_head(memory, std::int64_t{sampler::longest_string}, 1, compact | ascii);
  const auto raw = copy_string(memory, unicode_layout(), base);
  REQUIRE(raw);
  CHECK_FALSE(raw->shortened);
}

TEST_CASE("a negative length is no string", "[cpython]") {
  FakeMemory memory{64};
  put_head(memory, -1, 1, compact | ascii);
  CHECK(code_of_copy(memory, unicode_layout()) == EINVAL);
  CHECK(code_of_copy(memory, byte_string_layout()) == EINVAL);
}

TEST_CASE("a character width of 0, 3 or 7 is no string", "[cpython]") {
  FakeMemory memory{64};
  put_head(memory, 1, 0, compact);
  CHECK(code_of_copy(memory, unicode_layout()) == EINVAL);
  put_head(memory, 1, 3, compact);
  CHECK(code_of_copy(memory, unicode_layout()) == EINVAL);
  put_head(memory, 1, 7, compact | ascii);
  CHECK(code_of_copy(memory, unicode_layout()) == EINVAL);
}

TEST_CASE("an unreadable head, body or pointer is the error of that read", "[cpython]") {
  FakeMemory no_head{20};
  CHECK(code_of_copy(no_head, unicode_layout()) == EFAULT);
  FakeMemory no_body{64};
  put_head(no_body, 1'000, 1, compact | ascii);
  CHECK(code_of_copy(no_body, unicode_layout()) == EFAULT);
  FakeMemory no_target{64};
  put_head(no_target, 3, 1, 0);
  no_target.put<std::uint64_t>(56, 1);
  CHECK(code_of_copy(no_target, unicode_layout()) == EFAULT);
}

TEST_CASE("a surrogate becomes its escape, in pairs too", "[cpython]") {
  CHECK(decoded(Coding::ucs2, {"\x41\x00\x80\xDC", 4}) == "A\\udc80");
  CHECK(decoded(Coding::ucs2, {"\x3D\xD8\x0D\xDC", 4}) == "\\ud83d\\udc0d");
  CHECK(decoded(Coding::ucs4, {"\xFF\xDF\x00\x00", 4}) == "\\udfff");
}

TEST_CASE("a number above the last character becomes the replacement character", "[cpython]") {
  CHECK(decoded(Coding::ucs4, {"\x00\x00\x11\x00", 4}) == "\uFFFD");
  CHECK(decoded(Coding::ucs4, {"\xFF\xFF\x10\x00", 4}) == "\U0010FFFF");
}

TEST_CASE("bytes that are not UTF-8 become their escapes, one by one", "[cpython]") {
  CHECK(decoded(Coding::bytes,
                "a\xFF"
                "b") == "a\\xffb");
  CHECK(decoded(Coding::bytes, "\xE6\xBC") == "\\xe6\\xbc");
  CHECK(decoded(Coding::bytes, "\xC0\x80") == "\\xc0\\x80");
  CHECK(decoded(Coding::bytes, "\xE0\x80\x80") == "\\xe0\\x80\\x80");
  CHECK(decoded(Coding::bytes, "\xED\xA0\x80") == "\\xed\\xa0\\x80");
  CHECK(decoded(Coding::bytes, "\xF4\x90\x80\x80") == "\\xf4\\x90\\x80\\x80");
  CHECK(decoded(Coding::bytes, "\xF5\x80\x80\x80") == "\\xf5\\x80\\x80\\x80");
}

TEST_CASE("valid UTF-8 of every length is kept", "[cpython]") {
  CHECK(decoded(Coding::bytes, "x\u00E9\u6F22\U0001F40D") == "x\u00E9\u6F22\U0001F40D");
}

TEST_CASE("control characters, quotes and backslashes are left as they are", "[cpython]") {
  CHECK(decoded(Coding::latin1, {"a\0\n\"\\", 5}) == std::string("a\0\n\"\\", 5));
}

TEST_CASE("half a character at the end is left out", "[cpython]") {
  CHECK(decoded(Coding::ucs2, {"\x41\x00\x42", 3}) == "A");
}
