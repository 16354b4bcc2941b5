#include "sampler/cpython/debug_offsets.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "catch.h"
#include "fake_table.h"
#include "layout_text.h"

namespace sampler {
namespace {

using Catch::Matchers::Contains;
using Words = std::vector<std::string>;

constexpr std::string_view head = "cookie\nversion\nfree_threaded\n";

Words words_of(std::string_view text) {
  return parse_schema("x.schema", text).words;
}

std::string mistake_in(std::string_view text) {
  return mistake_of([&] { static_cast<void>(parse_schema("x.schema", text)); });
}

/// The first words of a table.
class Head {
 public:
  explicit Head(std::uint64_t version, std::uint64_t free_threaded = 0,
                std::string_view cookie = "xdebugpy") {
    REQUIRE(cookie.size() == 8);
    std::memcpy(bytes_.data(), cookie.data(), 8);
    std::memcpy(bytes_.data() + 8, &version, 8);
    std::memcpy(bytes_.data() + 16, &free_threaded, 8);
  }

  [[nodiscard]] std::optional<PythonVersion> version() const { return version_of_table(bytes_); }
  [[nodiscard]] std::optional<PythonVersion> version_of_first(std::size_t size) const {
    return version_of_table(std::span{bytes_}.first(size));
  }

 private:
  std::array<std::byte, table_head_size> bytes_{};
};

}  // namespace

TEST_CASE("a schema is its words in their order", "[cpython]") {
  const auto schema =
      parse_schema("x.schema", "cookie\nversion\nfree_threaded\nthread_state.size\nexc_value\n");
  CHECK(schema.name == "x");
  CHECK(schema.words == Words{"cookie", "version", "free_threaded", "thread_state.size", "exc_value"});
}

TEST_CASE("comments and empty lines of a schema mean nothing, nor does the end of the last line",
          "[cpython]") {
  CHECK(words_of("# CPython 9.1\n\ncookie\n# more\nversion\nfree_threaded\n\na.b") ==
        Words{"cookie", "version", "free_threaded", "a.b"});
}

TEST_CASE("a schema is called as its file without folder and ending", "[cpython]") {
  CHECK(parse_schema("/opt/a.schema/debug_offsets-3.14.schema", head).name == "debug_offsets-3.14");
  CHECK(parse_schema("debug_offsets-3.14.schema", head).name == "debug_offsets-3.14");
  CHECK(parse_schema("a.schema.schema", head).name == "a.schema");
  CHECK(parse_schema("/little", head).name == "little");
}

TEST_CASE("a repeated word of a schema is named with its line", "[cpython]") {
  CHECK(mistake_in("cookie\nversion\nfree_threaded\na.b\n# comment\na.b\n") ==
        "x.schema:6: the word 'a.b' is repeated");
}

TEST_CASE("a line of a schema that is not one name is refused", "[cpython]") {
  CHECK(mistake_in(std::string{head} + "a b\n") == "x.schema:4: 'a b' is no word: a line is one name");
  for (const auto* const line : {" a", "a ", "a\r", "a-b", "a\t", "@a", "a#", "\xc3\xa4"}) {
    CHECK_THAT(mistake_in(std::string{head} + line + "\n"),
               Contains("x.schema:4: ") && Contains("is no word"));
  }
}

TEST_CASE("a schema that does not begin like every table is refused", "[cpython]") {
  const std::string expected = "the first words must be cookie, version and free_threaded";
  CHECK(mistake_in("") == "x.schema:0: " + expected);
  CHECK(mistake_in("cookie\nversion\n") == "x.schema:2: " + expected);
  CHECK(mistake_in("version\ncookie\nfree_threaded\n") == "x.schema:3: " + expected);
  CHECK(mistake_in("cookie\nversion\na.b\nfree_threaded\n") == "x.schema:4: " + expected);
}

TEST_CASE("a schema has 1024 words at most", "[cpython]") {
  std::string text{head};
  for (int i = 3; i < 1024; ++i) text.append("a").append(std::to_string(i)).append("\n");
  CHECK(words_of(text).size() == 1024);
  CHECK(mistake_in(text + "one_more\n") == "x.schema:1025: more than 1024 words");
}

TEST_CASE("a table's first words tell its version and build", "[cpython]") {
  CHECK(Head{0x030D01F0}.version() == PythonVersion{3, 13});
  CHECK(Head{0x030E00B1, 1}.version() == PythonVersion{3, 14, true});
  CHECK(Head{0x030F0000}.version() == PythonVersion{3, 15});
}

TEST_CASE("bytes that do not begin with the cookie are no table", "[cpython]") {
  CHECK_FALSE(Head{0x030D01F0, 0, "xdebugpz"}.version());
  CHECK_FALSE(Head{0x030D01F0, 0, std::string_view{"\0\0\0\0\0\0\0\0", 8}}.version());
}

TEST_CASE("too few bytes are no table", "[cpython]") {
  const Head whole{0x030D01F0};
  CHECK(whole.version_of_first(24));
  CHECK_FALSE(whole.version_of_first(23));
  CHECK_FALSE(whole.version_of_first(8));
  CHECK_FALSE(whole.version_of_first(0));
}

TEST_CASE("a version of more than 32 bits and a build of another kind are no table's", "[cpython]") {
  CHECK(Head{0xFFFF'FFFF}.version() == PythonVersion{255, 255});
  CHECK_FALSE(Head{0x1'030D'01F0}.version());
  CHECK_FALSE(Head{~std::uint64_t{0}}.version());
  CHECK_FALSE(Head{0x030D01F0, 2}.version());
  CHECK_FALSE(Head{0x030D01F0, std::uint64_t{1} << 63U}.version());
}

TEST_CASE("a table tells its words' values and no other's", "[cpython]") {
  FakeTable table{parse_schema("x.schema", little_schema()), {9, 2, true}};
  table.set("thread_state.next", 77);
  table.set("exc_value", ~std::uint64_t{0});
  CHECK(table.offsets().find("thread_state.next") == 77U);
  CHECK(table.offsets().find("exc_value") == ~std::uint64_t{0});
  CHECK(table.offsets().find("version") == 0x090201F0U);
  CHECK_FALSE(table.offsets().find("thread_state.prev"));
  CHECK_FALSE(table.offsets().find("next"));
  CHECK_FALSE(table.offsets().find(""));
}

TEST_CASE("a short table lacks its late words", "[cpython]") {
  const auto schema = parse_schema("x.schema", little_schema());
  const FakeTable table{schema, {9, 2, true}};
  for (std::size_t size = 0; size <= table.bytes().size(); ++size) {
    const DebugOffsets cut{schema, table.bytes().first(size)};
    for (std::size_t i = 0; i < schema.words.size(); ++i) {
      REQUIRE(cut.find(schema.words[i]).has_value() == (i * 8 + 8 <= size));
    }
  }
}

TEST_CASE("a word's struct has the size that the table tells", "[cpython]") {
  FakeTable table{parse_schema("x.schema", little_schema()), {9, 2, true}};
  table.set("thread_state.size", 200);
  table.set("code_object.size", 300);
  CHECK(table.offsets().struct_size("thread_state.next") == 200U);
  CHECK(table.offsets().struct_size("code_object.firstlineno") == 300U);
}

TEST_CASE("a size, a word of no struct and one of a struct without size are not in a struct of known size",
          "[cpython]") {
  FakeTable table{parse_schema("x.schema", little_schema()), {9, 2, true}};
  CHECK_FALSE(table.offsets().struct_size("thread_state.size"));
  CHECK_FALSE(table.offsets().struct_size("exc_value"));
  CHECK_FALSE(table.offsets().struct_size("runtime_state.interpreters_head"));
  table.cut_before("pyobject.size");
  CHECK_FALSE(table.offsets().struct_size("pyobject.ob_type"));
  CHECK(table.offsets().struct_size("code_object.firstlineno"));
}

}  // namespace sampler
