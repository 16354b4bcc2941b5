#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "catch.h"
#include "sampler/base/error.h"
#include "sampler/cpython/layout_catalog.h"

namespace {

using Catch::Matchers::Contains;
using sampler::Error;
using sampler::ErrorKind;
using sampler::Layout;
using sampler::LayoutCatalog;
using sampler::parse_layout;
using sampler::PythonVersion;

/// The smallest kind of layout: heap frames, byte strings, no runtime struct. 25 lines.
std::string simple_text() {
  return "# comment\n"
         "python 9.1\n"
         "source static\n"
         "\n"
         "trait.frame_chain frame_objects\n"
         "trait.line_table lnotab_unsigned\n"
         "trait.instruction byte_offset\n"
         "trait.strings byte_string\n"
         "trait.gil current_thread\n"
         "trait.first_trampoline_owner 255\n"
         "trait.executable_tag_mask 0\n"
         "interpreter.next 0\n"
         "interpreter.threads_head 8\n"
         "thread.size\t152\n"
         "thread.next 0\n"
         "thread.interpreter 8\n"
         "thread.frame 16\n"
         "thread.thread_id 144\n"
         "frame.size 124\n"
         "frame.previous 24\n"
         "frame.executable 32\n"
         "frame.instruction 120\n"
         "code.size 128\n"
         "code.filename 80\n"
         "code.name 88\n"
         "code.first_line 96\n"
         "code.line_table 104\n"
         "object.type 8\n"
         "object.var_size 16\n"
         "bytes.data 36\n";
}

/// simple_text() with one line replaced by another text.
std::string simple_text_with(std::string_view line, std::string_view replacement) {
  std::string text = simple_text();
  const auto at = text.find(line);
  REQUIRE(at != std::string::npos);
  return text.replace(at, line.size(), replacement);
}

std::string mistake_in(const std::string& text) {
  try {
    static_cast<void>(parse_layout("x.layout", text));
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::usage);
    return error.what();
  }
  return "no mistake found";
}

ErrorKind kind_of_find(const LayoutCatalog& catalog, PythonVersion version) {
  try {
    static_cast<void>(catalog.find(version));
  } catch (const Error& error) {
    return error.kind();
  }
  return ErrorKind::internal;
}

/// A directory of its own, gone at the end of the test.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "layouts-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  void write(const std::string& name, const std::string& text) const { std::ofstream{path_ / name} << text; }

 private:
  std::filesystem::path path_;
};

}  // namespace

TEST_CASE("a layout file fills the fields it names and leaves the others absent", "[cpython]") {
  const Layout layout = parse_layout("x.layout", simple_text());
  CHECK(layout.version == PythonVersion{9, 1});
  CHECK(layout.traits.line_table == sampler::LineTable::lnotab_unsigned);
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
        "x.layout:29: the key 'frame.previous' is missing");
  CHECK(mistake_in(simple_text_with("trait.gil current_thread\n", "")) ==
        "x.layout:29: the key 'trait.gil' is missing");
  CHECK(mistake_in("") == "x.layout:0: the key 'python' is missing");
}

TEST_CASE("an unknown key is named with its line", "[cpython]") {
  CHECK(mistake_in(simple_text_with("frame.previous 24", "frame.prevoius 24")) ==
        "x.layout:20: the key 'frame.prevoius' is unknown");
}

TEST_CASE("a key given twice is named with both lines", "[cpython]") {
  CHECK(mistake_in(simple_text() + "thread.next 0\n") ==
        "x.layout:31: the key 'thread.next' is already in line 15");
}

TEST_CASE("a key that the traits leave no room for is refused", "[cpython]") {
  CHECK(mistake_in(simple_text() + "thread.cframe 56\n") ==
        "x.layout:31: the traits leave no room for the key 'thread.cframe'");
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
        "x.layout:21: 'frame.executable' takes 8 bytes at 117, outside its struct of 124 bytes");
  CHECK(mistake_in(simple_text_with("frame.instruction 120", "frame.instruction 121")) ==
        "x.layout:22: 'frame.instruction' takes 4 bytes at 121, outside its struct of 124 bytes");
}

TEST_CASE("an absurd number is refused", "[cpython]") {
  CHECK(mistake_in(simple_text_with("code.size 128", "code.size 65537")) ==
        "x.layout:23: 'code.size' must be a number from 1 to 65536, not '65537'");
  CHECK_THAT(mistake_in(simple_text_with("code.size 128", "code.size 0")), Contains("x.layout:23: "));
  CHECK_THAT(mistake_in(simple_text_with("bytes.data 36", "bytes.data 99999999999999999999")),
             Contains("x.layout:30: "));
  CHECK_THAT(mistake_in(simple_text_with("interpreter.next 0", "interpreter.next 16777217")),
             Contains("x.layout:12: "));
  CHECK_THAT(mistake_in(simple_text_with("bytes.data 36", "bytes.data -1")), Contains("x.layout:30: "));
  CHECK_THAT(mistake_in(simple_text_with("bytes.data 36", "bytes.data 0x24")), Contains("x.layout:30: "));
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
        "x.layout:3: 'source' can only be 'static', not 'elsewhere'");
}

TEST_CASE("a line with one word or three is refused", "[cpython]") {
  CHECK(mistake_in(simple_text_with("thread.next 0", "thread.next")) ==
        "x.layout:15: a line is a key and a value");
  CHECK(mistake_in(simple_text_with("thread.next 0", "thread.next 0 0")) ==
        "x.layout:15: a line is a key and a value");
}

TEST_CASE("the embedded layouts are all there, in ascending order", "[cpython]") {
  const LayoutCatalog catalog;
  const auto versions = catalog.versions();
  CHECK(std::is_sorted(versions.begin(), versions.end()));
  CHECK(versions.size() >= 8);
  CHECK(catalog.find({2, 7}).traits.strings == sampler::StringKind::byte_string);
  CHECK(catalog.find({3, 12}).traits.frame_chain == sampler::FrameChain::through_cframe);
}

TEST_CASE("an unknown version is an error that names the supported ones and the cure", "[cpython]") {
  const LayoutCatalog catalog;
  CHECK(kind_of_find(catalog, {3, 5}) == ErrorKind::unsupported_python);
  CHECK_THROWS_WITH(catalog.find({9, 9}),
                    Contains("CPython 9.9 is not supported") && Contains("3.6, 3.7, 3.8"));
  try {
    static_cast<void>(catalog.find({9, 9}));
  } catch (const Error& error) {
    CHECK_THAT(error.hint(), Contains("docs/adding-a-python.md") && Contains("tools/gen_layout.py"));
  }
}

TEST_CASE("a directory's layouts are added and replace those of the same version", "[cpython]") {
  const TemporaryDirectory directory;
  directory.write("new.layout", simple_text());
  directory.write("known.layout", simple_text_with("python 9.1", "python 3.12"));
  directory.write("notes.txt", "not a layout");
  LayoutCatalog catalog;
  const auto before = catalog.versions().size();
  catalog.add_directory(directory.path());
  CHECK(catalog.versions().size() == before + 1);
  CHECK(catalog.versions().back() == PythonVersion{9, 1});
  CHECK(catalog.find({3, 12}).traits.frame_chain == sampler::FrameChain::frame_objects);
}

TEST_CASE("a mistake in a directory's layout names file and line", "[cpython]") {
  const TemporaryDirectory directory;
  directory.write("bad.layout", "python 9.1\nnonsense 1\n");
  LayoutCatalog catalog;
  CHECK_THROWS_WITH(catalog.add_directory(directory.path()), Contains("bad.layout:2: "));
}

TEST_CASE("a directory that cannot be listed is an error", "[cpython]") {
  LayoutCatalog catalog;
  CHECK_THROWS_WITH(catalog.add_directory("/nowhere/at/all"),
                    Contains("cannot list layout directory /nowhere/at/all: "));
}
