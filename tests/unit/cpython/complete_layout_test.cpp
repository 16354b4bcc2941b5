#include <cstdint>
#include <string>
#include <string_view>

#include "catch.h"
#include "fake_table.h"
#include "layout_text.h"
#include "sampler/cpython/layout_catalog.h"
#include "sampler/cpython/layout_source.h"

namespace sampler {
namespace {

using Catch::Matchers::Contains;

/// A layout and a table that completes it. Every struct of the table has 384 bytes, an object's head 32.
struct Parts {
  Parts() { table.set("interpreter_frame.owner", 70); }
  LayoutSource source = parse_layout("x.layout", table_text());
  FakeTable table{parse_schema("little.schema", little_schema()), {9, 2, true}};

  [[nodiscard]] Result<Layout, std::string> complete() const {
    return complete_layout(source, table.offsets());
  }
  [[nodiscard]] std::string mistake() const {
    const auto layout = complete();
    return layout ? "no mistake found" : layout.error();
  }
  [[nodiscard]] std::string mistake_with(std::string_view word, std::uint64_t value) const {
    auto changed = *this;
    changed.table.set(word, value);
    return changed.mistake();
  }
};

constexpr std::string_view none = "no mistake found";

}  // namespace

TEST_CASE("the target's table fills the fields that the layout leaves to it", "[cpython]") {
  Parts parts;
  parts.table.set("runtime_state.interpreters_head", 1000);
  parts.table.set("thread_state.size", 160);
  parts.table.set("thread_state.next", 152);
  parts.table.set("interpreter_frame.size", 88);
  parts.table.set("interpreter_frame.owner", 87);
  const auto layout = parts.complete();
  REQUIRE(layout);
  CHECK(layout->version == PythonVersion{9, 2, true});
  CHECK(layout->traits.executable_tag_mask == 3);
  CHECK(layout->runtime.interpreters_head.offset == 1000);
  CHECK(layout->thread.size == 160);
  CHECK(layout->thread.next.offset == 152);
  CHECK(layout->frame.owner.offset == 87);
  CHECK(layout->object.type.offset == 24);
  CHECK(layout->thread.thread_id.offset == 40);
  CHECK(layout->frame.size == 88);
  CHECK_FALSE(layout->code.qualname.exists());
  CHECK(parts.source.layout.thread.size == 0);
}

TEST_CASE("every embedded layout is completed by a table of its schema", "[cpython]") {
  const LayoutCatalog catalog;
  int completed = 0;
  for (const auto version : catalog.versions()) {
    const auto& source = catalog.find(version);
    if (source.schema.empty()) continue;
    const FakeTable table{catalog.schema_of(source), version};
    CHECK(version_of_table(table.bytes()) == version);
    const auto layout = complete_layout(source, table.offsets());
    REQUIRE(layout);
    CHECK(layout->version == version);
    CHECK(layout->runtime.interpreters_head.exists());
    CHECK(layout->thread.size == FakeTable::struct_size);
    CHECK(layout->thread.current_frame.exists());
    CHECK(layout->frame.executable.exists());
    CHECK(layout->code.size == FakeTable::struct_size);
    CHECK(layout->object.type.offset == (version.free_threaded ? 24 : 8));
    CHECK(layout->frame.bytecode_index.exists() == layout->code.thread_bytecode.exists());
    ++completed;
  }
  CHECK(completed >= 6);
}

TEST_CASE("a table without a word that the layout needs is damaged", "[cpython]") {
  Parts parts;
  parts.table.cut_before("pyobject.ob_type");
  CHECK(parts.mistake() == "it has no word 'pyobject.ob_type'");
  parts.table.cut_before("thread_state.size");
  CHECK(parts.mistake() == "it has no word 'thread_state.size'");
  parts.table.cut_before("cookie");
  CHECK(parts.mistake() == "it has no word 'runtime_state.interpreters_head'");
}

TEST_CASE("a table without a word that the layout does not need is none the worse", "[cpython]") {
  Parts parts;
  parts.table.cut_before("exc_value");
  CHECK(parts.mistake() == none);
}

TEST_CASE("a size of nothing and an absurd one are damage", "[cpython]") {
  const Parts parts;
  CHECK(parts.mistake_with("thread_state.size", 0) ==
        "its word 'thread_state.size' is 0, not from 1 to 65536");
  CHECK(parts.mistake_with("thread_state.size", 65536) == none);
  CHECK(parts.mistake_with("thread_state.size", 65537) ==
        "its word 'thread_state.size' is 65537, not from 1 to 65536");
  CHECK_THAT(parts.mistake_with("code_object.size", 0), Contains("'code_object.size' is 0"));
  CHECK(parts.mistake_with("code_object.size", 512) == none);
  CHECK(parts.mistake_with("code_object.size", 513) ==
        "its word 'code_object.size' is 513, not from 1 to 512");
}

TEST_CASE("an offset too large for any struct is damage", "[cpython]") {
  const Parts parts;
  CHECK(parts.mistake_with("runtime_state.interpreters_head", 16'777'216) == none);
  CHECK(parts.mistake_with("runtime_state.interpreters_head", 16'777'217) ==
        "its word 'runtime_state.interpreters_head' is 16777217, not from 0 to 16777216");
  CHECK(parts.mistake_with("runtime_state.interpreters_head", 0) == none);
}

TEST_CASE("a number that 32 bits cannot hold is damage and not cut to them", "[cpython]") {
  const Parts parts;
  for (const auto* const word : {"runtime_state.interpreters_head", "thread_state.size", "thread_state.next",
                                 "interpreter_frame.owner", "pyobject.ob_type"}) {
    CHECK_THAT(parts.mistake_with(word, std::uint64_t{1} << 63U),
               Contains("is 9223372036854775808, not from"));
    CHECK_THAT(parts.mistake_with(word, ~std::uint64_t{0}), Contains("is 18446744073709551615, not from"));
    CHECK_THAT(parts.mistake_with(word, (std::uint64_t{1} << 32U) + 8), Contains("is 4294967304, not from"));
  }
}

TEST_CASE("a field that is not aligned to its width is damage", "[cpython]") {
  const Parts parts;
  CHECK(parts.mistake_with("thread_state.next", 140) ==
        "its word 'thread_state.next' is 140, not a multiple of 8");
  CHECK(parts.mistake_with("code_object.firstlineno", 130) ==
        "its word 'code_object.firstlineno' is 130, not a multiple of 4");
  CHECK(parts.mistake_with("code_object.firstlineno", 132) == none);
  CHECK(parts.mistake_with("interpreter_frame.owner", 71) == none);
}

TEST_CASE("fields of one struct that overlap are damage, those of different structs are not", "[cpython]") {
  Parts parts;
  parts.source = parse_layout(
      "x.layout", replaced(table_text(), "thread.interpreter 16", "thread.interpreter @thread_state.interp"));
  auto schema = parse_schema(
      "little.schema", replaced(little_schema(), "pyobject.size", "thread_state.interp\npyobject.size"));
  parts.table = FakeTable{std::move(schema), {9, 2, true}};
  parts.table.set("interpreter_frame.owner", 70);
  parts.table.set("interpreter_state.next", 200);
  parts.table.set("thread_state.next", 200);
  CHECK(parts.mistake_with("thread_state.interp", 200) ==
        "its words 'thread_state.next' and 'thread_state.interp' overlap");
  CHECK(parts.mistake_with("thread_state.interp", 192) == none);
  CHECK(parts.mistake_with("thread_state.interp", 208) == none);
}

TEST_CASE("characters in the head of their string are damage", "[cpython]") {
  const LayoutCatalog catalog;
  const auto& source = catalog.find({3, 14});
  FakeTable table{catalog.schema_of(source), {3, 14}};
  table.set("unicode_object.length", 16);
  table.set("unicode_object.state", 32);
  table.set("unicode_object.asciiobject_size", 40);
  CHECK(complete_layout(source, table.offsets()));
  table.set("unicode_object.asciiobject_size", 24);
  const auto layout = complete_layout(source, table.offsets());
  REQUIRE_FALSE(layout);
  CHECK(layout.error() == "the characters of a string are at 24, in its head of 36 bytes");
}

TEST_CASE("a field ends with its struct at the latest, its width counted", "[cpython]") {
  const Parts parts;
  CHECK(parts.mistake_with("thread_state.next", 384 - 8) == none);
  CHECK(parts.mistake_with("thread_state.next", 384 - 7) ==
        "its word 'thread_state.next' is 377, outside a struct of 384 bytes");
  CHECK(parts.mistake_with("code_object.firstlineno", 384 - 4) == none);
  CHECK(parts.mistake_with("code_object.firstlineno", 384 - 3) ==
        "its word 'code_object.firstlineno' is 381, outside a struct of 384 bytes");
  CHECK(parts.mistake_with("pyobject.ob_type", 24) == none);
  CHECK(parts.mistake_with("pyobject.ob_type", 25) ==
        "its word 'pyobject.ob_type' is 25, outside a struct of 32 bytes");
}

TEST_CASE("a field is inside the table's struct even where the layout's own is larger", "[cpython]") {
  Parts parts;
  parts.table.set("interpreter_state.size", 104);
  CHECK(parts.mistake_with("interpreter_state.next", 96) == none);
  CHECK(parts.mistake_with("interpreter_state.next", 97) ==
        "its word 'interpreter_state.next' is 97, outside a struct of 104 bytes");
}

TEST_CASE("a field is inside the layout's struct even where the table's is larger", "[cpython]") {
  const Parts parts;
  CHECK(parts.mistake_with("interpreter_frame.owner", 87) == none);
  CHECK(parts.mistake_with("interpreter_frame.owner", 88) ==
        "'frame.owner' takes 1 bytes at 88, outside its struct of 88 bytes");
}

TEST_CASE("the layout's own offsets are inside the structs whose size the table tells", "[cpython]") {
  const Parts parts;
  CHECK(parts.mistake_with("code_object.size", 131) ==
        "its word 'code_object.firstlineno' is 128, outside a struct of 131 bytes");
  CHECK(parts.mistake_with("interpreter_state.size", 0) ==
        "its word 'interpreter_state.next' is 128, outside a struct of 0 bytes");
  auto low = parts;
  low.table.set("code_object.firstlineno", 96);
  CHECK(low.mistake_with("code_object.size", 201) == none);
  CHECK(low.mistake_with("code_object.size", 200) ==
        "'code.bytecode' takes 1 bytes at 200, outside its struct of 200 bytes");
  CHECK(low.mistake_with("code_object.size", 101) ==
        "'code.line_table' takes 8 bytes at 104, outside its struct of 101 bytes");
}

}  // namespace sampler
