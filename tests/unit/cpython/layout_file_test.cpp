#include <string>
#include <string_view>
#include <vector>

#include "catch.h"
#include "layout_text.h"
#include "sampler/cpython/layout_source.h"

namespace sampler {
namespace {

using Catch::Matchers::Contains;

std::string mistake_in(const std::string& text) {
  return mistake_of([&] { static_cast<void>(parse_layout("x.layout", text)); });
}

std::string mistake_in_table(std::string_view line, std::string_view replacement) {
  return mistake_in(replaced(table_text(), line, replacement));
}

}  // namespace

TEST_CASE("a layout file fills the fields it names and leaves the others absent", "[cpython]") {
  const auto source = parse_layout("x.layout", simple_text());
  const auto& layout = source.layout;
  CHECK(source.name == "x.layout");
  CHECK(source.schema.empty());
  CHECK(source.table_fields.empty());
  CHECK(layout.version == PythonVersion{9, 1});
  CHECK(layout.traits.line_table == LineTable::lnotab_unsigned);
  CHECK(layout.traits.first_trampoline_owner == 255);
  CHECK(layout.thread.size == 152);
  CHECK(layout.thread.frame.offset == 16);
  CHECK(layout.frame.instruction.offset == 120);
  CHECK_FALSE(layout.thread.cframe.exists());
  CHECK_FALSE(layout.code.qualname.exists());
  CHECK_FALSE(layout.runtime.gil.exists());
}

TEST_CASE("a missing key is named", "[cpython]") {
  CHECK(mistake_in(simple_text_with("frame.previous 24\n", "")) ==
        "x.layout:30: the key 'frame.previous' is missing");
  CHECK(mistake_in(simple_text_with("trait.gil current_thread\n", "")) ==
        "x.layout:30: the key 'trait.gil' is missing");
  CHECK(mistake_in("") == "x.layout:0: the key 'python' is missing");
}

TEST_CASE("an unknown key is named with its line", "[cpython]") {
  CHECK(mistake_in(simple_text_with("frame.previous 24", "frame.prevoius 24")) ==
        "x.layout:21: the key 'frame.prevoius' is unknown");
}

TEST_CASE("a key given twice is named with both lines", "[cpython]") {
  CHECK(mistake_in(simple_text() + "thread.next 0\n") ==
        "x.layout:32: the key 'thread.next' is already in line 16");
}

TEST_CASE("a key that the traits leave no room for is refused", "[cpython]") {
  CHECK(mistake_in(simple_text() + "thread.cframe 56\n") ==
        "x.layout:32: the traits leave no room for the key 'thread.cframe'");
}

TEST_CASE("the traits decide which keys have to be there", "[cpython]") {
  CHECK_THAT(mistake_in(simple_text_with("trait.strings byte_string", "trait.strings unicode")),
             Contains("the key 'unicode.length' is missing"));
  CHECK_THAT(mistake_in(simple_text_with("trait.gil current_thread", "trait.gil in_runtime")),
             Contains("the key 'runtime.interpreters_head' is missing"));
  CHECK_THAT(mistake_in(simple_text_with("trait.frame_chain frame_objects", "trait.frame_chain direct")),
             Contains("the traits leave no room for the key 'thread.frame'"));
  CHECK_THAT(mistake_in(simple_text_with("trait.instruction byte_offset", "trait.instruction pointer")),
             Contains("the key 'code.bytecode' is missing"));
}

TEST_CASE("an offset outside its struct is refused, the field's width counted", "[cpython]") {
  CHECK(mistake_in(simple_text_with("frame.executable 32", "frame.executable 117")) ==
        "x.layout:22: 'frame.executable' takes 8 bytes at 117, outside its struct of 124 bytes");
  CHECK(mistake_in(simple_text_with("frame.instruction 120", "frame.instruction 121")) ==
        "x.layout:23: 'frame.instruction' takes 4 bytes at 121, outside its struct of 124 bytes");
}

TEST_CASE("an absurd number is refused", "[cpython]") {
  CHECK(mistake_in(simple_text_with("code.size 128", "code.size 513")) ==
        "x.layout:24: 'code.size' must be a number from 1 to 512, not '513'");
  CHECK(mistake_in(simple_text_with("frame.size 124", "frame.size 513")) ==
        "x.layout:20: 'frame.size' must be a number from 1 to 512, not '513'");
  CHECK(parse_layout("x.layout", simple_text_with("code.size 128", "code.size 512")).layout.code.size == 512);
  CHECK(mistake_in(simple_text_with("thread.size\t152", "thread.size 65537")) ==
        "x.layout:15: 'thread.size' must be a number from 1 to 65536, not '65537'");
  CHECK_THAT(mistake_in(simple_text_with("code.size 128", "code.size 0")), Contains("x.layout:24: "));
  CHECK_THAT(mistake_in(simple_text_with("bytes.data 36", "bytes.data 99999999999999999999")),
             Contains("x.layout:31: "));
  CHECK_THAT(mistake_in(simple_text_with("interpreter.next 0", "interpreter.next 16777217")),
             Contains("x.layout:13: "));
  CHECK_THAT(mistake_in(simple_text_with("bytes.data 36", "bytes.data -1")), Contains("x.layout:31: "));
  CHECK_THAT(mistake_in(simple_text_with("bytes.data 36", "bytes.data 0x24")), Contains("x.layout:31: "));
}

TEST_CASE("a trait with a value it cannot have is refused", "[cpython]") {
  CHECK(mistake_in(simple_text_with("trait.line_table lnotab_unsigned", "trait.line_table pep999")) ==
        "x.layout:6: 'trait.line_table' cannot be 'pep999'");
  CHECK_THAT(mistake_in(simple_text_with("first_trampoline_owner 255", "first_trampoline_owner 256")),
             Contains("a number from 0 to 255"));
  CHECK_THAT(mistake_in(simple_text_with("executable_tag_mask 0", "executable_tag_mask 16")),
             Contains("a number from 0 to 15"));
}

TEST_CASE("a version that is none is refused", "[cpython]") {
  CHECK_THAT(mistake_in(simple_text_with("python 9.1", "python 9")), Contains("x.layout:2: "));
  CHECK_THAT(mistake_in(simple_text_with("python 9.1", "python 9.x")), Contains("x.layout:2: "));
  CHECK_THAT(mistake_in(simple_text_with("python 9.1", "python .1")), Contains("x.layout:2: "));
  CHECK_THAT(mistake_in(simple_text_with("python 9.1", "python 9.1.2")), Contains("x.layout:2: "));
}

TEST_CASE("a source that this program cannot use is refused", "[cpython]") {
  CHECK(mistake_in(simple_text_with("source static", "source elsewhere")) ==
        "x.layout:3: 'source' can be 'static' or 'debug_offsets', not 'elsewhere'");
}

TEST_CASE("a line with one word or three is refused", "[cpython]") {
  CHECK(mistake_in(simple_text_with("thread.next 0", "thread.next")) ==
        "x.layout:16: a line is a key and a value");
  CHECK(mistake_in(simple_text_with("thread.next 0", "thread.next 0 0")) ==
        "x.layout:16: a line is a key and a value");
}

TEST_CASE("a version may be that of a free-threaded build", "[cpython]") {
  const auto free_threaded = parse_layout("x.layout", simple_text_with("python 9.1", "python 3.13t"));
  CHECK(free_threaded.layout.version == PythonVersion{3, 13, true});
  CHECK(to_string(free_threaded.layout.version) == "3.13t");
  CHECK(mistake_in(simple_text_with("python 9.1", "python 3.13x")) ==
        "x.layout:2: 'python' must be a version like 3.12 or 3.13t, not '3.13x'");
  for (const auto* const version : {"3.13tt", "3.t", "t", "3t", "3.13T", "3.t13", "t3.13"}) {
    CHECK_THAT(mistake_in(simple_text_with("python 9.1", "python " + std::string{version})),
               Contains("x.layout:2: 'python' must be a version"));
  }
}

TEST_CASE("fields that the target tells are left open and named", "[cpython]") {
  const auto source = parse_layout("x.layout", table_text());
  CHECK(source.schema == "little");
  CHECK(source.layout.version == PythonVersion{9, 2, true});
  CHECK(source.layout.traits.gil == GilKind::none);
  REQUIRE(source.table_fields.size() == 8);
  const auto& first = source.table_fields.front();
  CHECK(first.key == "runtime.interpreters_head");
  CHECK(first.word == "runtime_state.interpreters_head");
  CHECK(first.line == 12);
  CHECK(source.table_fields.back().key == "object.type");
  CHECK(source.table_fields.back().line == 35);
  CHECK_FALSE(source.layout.runtime.interpreters_head.exists());
  CHECK_FALSE(source.layout.thread.next.exists());
  CHECK(source.layout.thread.size == 0);
  CHECK(source.layout.thread.current_frame.offset == 24);
  CHECK(source.layout.frame.size == 88);
}

TEST_CASE("a layout that the target completes may be whole by itself", "[cpython]") {
  const auto source =
      parse_layout("x.layout", simple_text_with("source static", "source debug_offsets\nschema little"));
  CHECK(source.schema == "little");
  CHECK(source.table_fields.empty());
}

TEST_CASE("only a source of offsets has a schema, and needs one", "[cpython]") {
  CHECK(mistake_in_table("schema little\n", "") == "x.layout:36: the key 'schema' is missing");
  CHECK(mistake_in(simple_text_with("source static", "source static\nschema little")) ==
        "x.layout:4: only the source 'debug_offsets' has a schema");
}

TEST_CASE("a static layout has no fields for the target to tell", "[cpython]") {
  CHECK(mistake_in(simple_text_with("thread.next 0", "thread.next @thread_state.next")) ==
        "x.layout:16: 'thread.next' must be a number from 0 to 65536, not '@thread_state.next'");
}

TEST_CASE("the target tells fields and no traits", "[cpython]") {
  CHECK(mistake_in_table("trait.executable_tag_mask 3", "trait.executable_tag_mask @a.b") ==
        "x.layout:11: 'trait.executable_tag_mask' must be a number from 0 to 15, not '@a.b'");
  CHECK(mistake_in_table("trait.gil none", "trait.gil @a.b") == "x.layout:8: 'trait.gil' cannot be '@a.b'");
}

TEST_CASE("a field that the traits leave no room for cannot be told by the target either", "[cpython]") {
  CHECK(
      mistake_in_table("thread.interpreter 16", "thread.interpreter 16\nthread.cframe @thread_state.next") ==
      "x.layout:20: the traits leave no room for the key 'thread.cframe'");
}

TEST_CASE("what the file itself has of a struct is bounded by its own numbers only", "[cpython]") {
  // How large a code object is, the target tells; how large a frame is, the file does.
  CHECK(parse_layout("x.layout", replaced(table_text(), "code.bytecode 200", "code.bytecode 512"))
            .layout.code.bytecode.offset == 512);
  CHECK(mistake_in_table("frame.instruction 56", "frame.instruction 81") ==
        "x.layout:26: 'frame.instruction' takes 8 bytes at 81, outside its struct of 88 bytes");
}

TEST_CASE("only where there is no GIL a thread state says that it may run Python", "[cpython]") {
  CHECK_THAT(mistake_in_table("thread.attachment 32\n", ""),
             Contains("the key 'thread.attachment' is missing"));
  CHECK(mistake_in(simple_text() + "thread.attachment 32\n") ==
        "x.layout:32: the traits leave no room for the key 'thread.attachment'");
}

TEST_CASE("the size of the runtime is told where there is a runtime, and bounds its fields", "[cpython]") {
  const auto source = parse_layout(
      "x.layout", replaced(table_text(), "runtime.finalizing", "runtime.size 1520\nruntime.finalizing"));
  CHECK(source.layout.runtime.size == 1520);
  CHECK(mistake_in_table("runtime.finalizing 24", "runtime.finalizing 24\nruntime.size 31") ==
        "x.layout:13: 'runtime.finalizing' takes 8 bytes at 24, outside its struct of 31 bytes");
  CHECK(mistake_in(simple_text() + "runtime.size 1520\n") ==
        "x.layout:32: the traits leave no room for the key 'runtime.size'");
}

TEST_CASE("the copies of the bytecode are told with where the first of them is", "[cpython]") {
  const std::string copies{"code.unit_count 32\ncode.thread_bytecode 208\n"};
  CHECK_THAT(mistake_in_table("code.unit_count 32\n", copies),
             Contains("the key 'code.thread_bytecode_entries' is missing"));
  CHECK(mistake_in_table("code.unit_count 32\n", copies + "code.thread_bytecode_entries 8\n") ==
        "no mistake found");
}

TEST_CASE("a cframe is there for the chain of frames or for the thread that runs a state", "[cpython]") {
  const auto text = simple_text_with("trait.state_thread named", "trait.state_thread by_cframe");
  CHECK_THAT(mistake_in(text), Contains("the key 'thread.cframe' is missing"));
  const auto layout = parse_layout("x.layout", text + "thread.cframe 40\n").layout;
  CHECK(layout.thread.cframe.offset == 40);
  CHECK(layout.traits.state_thread == StateThread::by_cframe);
}

}  // namespace sampler
