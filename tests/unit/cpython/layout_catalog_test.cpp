#include "sampler/cpython/layout_catalog.h"

#include <stdlib.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>

#include "catch.h"
#include "layout_text.h"

namespace sampler {
namespace {

using Catch::Matchers::Contains;

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

/// What is wrong with a directory's files; the directory itself is left out.
std::string mistake_in(const TemporaryDirectory& directory) {
  auto mistake = mistake_of([&] { LayoutCatalog{}.add_directory(directory.path()); });
  const auto folder = directory.path().string() + "/";
  if (mistake.starts_with(folder)) mistake.erase(0, folder.size());
  return mistake;
}

}  // namespace

TEST_CASE("the embedded layouts are all there, in ascending order", "[cpython]") {
  const LayoutCatalog catalog;
  const auto versions = catalog.versions();
  CHECK(std::is_sorted(versions.begin(), versions.end()));
  CHECK(versions.size() >= 14);
  CHECK(std::adjacent_find(versions.begin(), versions.end()) == versions.end());
  CHECK(catalog.find({2, 7}).layout.traits.strings == StringKind::byte_string);
  CHECK(catalog.find({3, 12}).layout.traits.frame_chain == FrameChain::through_cframe);
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
  CHECK(catalog.find({3, 12}).layout.traits.frame_chain == FrameChain::frame_objects);
}

TEST_CASE("a mistake in a directory's layout names file and line", "[cpython]") {
  const TemporaryDirectory directory;
  directory.write("bad.layout", "python 9.1\nnonsense 1\n");
  LayoutCatalog catalog;
  CHECK_THROWS_WITH(catalog.add_directory(directory.path()), Contains("bad.layout:2: "));
}

TEST_CASE("two layouts of a directory for one version are a mistake", "[cpython]") {
  const TemporaryDirectory directory;
  directory.write("a.layout", simple_text());
  directory.write("b.layout", simple_text());
  LayoutCatalog catalog;
  CHECK_THROWS_WITH(catalog.add_directory(directory.path()),
                    Contains("b.layout: ") && Contains("a.layout is for Python 9.1 too"));
}

TEST_CASE("a layout that is no regular file is a mistake", "[cpython]") {
  const TemporaryDirectory directory;
  REQUIRE(::mkfifo((directory.path() / "x.layout").c_str(), 0600) == 0);
  LayoutCatalog catalog;
  CHECK_THROWS_WITH(catalog.add_directory(directory.path()), Contains("x.layout is no regular file"));
}

TEST_CASE("a directory that cannot be listed is an error", "[cpython]") {
  LayoutCatalog catalog;
  CHECK_THROWS_WITH(catalog.add_directory("/nowhere/at/all"),
                    Contains("cannot list layout directory /nowhere/at/all: "));
}

TEST_CASE("a free-threaded build is a version of its own", "[cpython]") {
  const LayoutCatalog catalog;
  const auto versions = catalog.versions();
  const auto usual = std::find(versions.begin(), versions.end(), PythonVersion{3, 14});
  REQUIRE(usual != versions.end());
  CHECK(*(usual + 1) == PythonVersion{3, 14, true});
  CHECK(catalog.find({3, 14}).layout.traits.gil == GilKind::in_interpreter);
  CHECK(catalog.find({3, 14, true}).layout.traits.gil == GilKind::none);
  CHECK(kind_of_find(catalog, {3, 12, true}) == ErrorKind::unsupported_python);
  CHECK_THROWS_WITH(catalog.find({3, 12, true}),
                    Contains("CPython 3.12t is not supported") && Contains("3.13, 3.13t, 3.14, 3.14t"));
}

TEST_CASE("a layout of this program that the target completes has its schema there", "[cpython]") {
  const LayoutCatalog catalog;
  const auto& source = catalog.find({3, 14, true});
  CHECK(source.schema == "debug_offsets-3.14");
  CHECK(catalog.schema_of(source).name == source.schema);
  CHECK(catalog.schema_of(catalog.find({3, 14})).name == source.schema);
  CHECK(catalog.schema_of(catalog.find({3, 13})).name == "debug_offsets-3.13");
  CHECK(catalog.find({3, 12}).schema.empty());
}

TEST_CASE("a layout and its schema are added together", "[cpython]") {
  const TemporaryDirectory directory;
  directory.write("new.layout", table_text());
  directory.write("little.schema", little_schema());
  LayoutCatalog catalog;
  catalog.add_directory(directory.path());
  const auto& source = catalog.find({9, 2, true});
  CHECK(source.name == (directory.path() / "new.layout").string());
  CHECK(catalog.schema_of(source).words == parse_schema("little.schema", little_schema()).words);
  CHECK(catalog.versions().back() == PythonVersion{9, 2, true});
}

TEST_CASE("a layout tells where it is from", "[cpython]") {
  const TemporaryDirectory directory;
  directory.write("new.layout", simple_text());
  LayoutCatalog catalog;
  catalog.add_directory(directory.path());
  CHECK(catalog.find({9, 1}).origin() == (directory.path() / "new.layout").string());
  CHECK(catalog.find({3, 12}).origin() == "built in");
}

TEST_CASE("a layout may name a schema of this program", "[cpython]") {
  const TemporaryDirectory directory;
  directory.write("new.layout", replaced(table_text(), "schema little", "schema debug_offsets-3.14"));
  LayoutCatalog catalog;
  catalog.add_directory(directory.path());
  CHECK(catalog.schema_of(catalog.find({9, 2, true})).name == "debug_offsets-3.14");
}

TEST_CASE("a layout whose schema is missing is a mistake", "[cpython]") {
  const TemporaryDirectory directory;
  directory.write("new.layout", table_text());
  CHECK(mistake_in(directory) == "new.layout: its schema is missing: little.schema");
}

TEST_CASE("a layout that wants a word its schema lacks is a mistake in that line", "[cpython]") {
  const TemporaryDirectory directory;
  directory.write("new.layout", table_text());
  directory.write("little.schema", replaced(little_schema(), "thread_state.next\n", "thread_state.prev\n"));
  CHECK(mistake_in(directory) == "new.layout:18: the schema little has no word 'thread_state.next'");
}

TEST_CASE("a field without the name of its word is a mistake in that line", "[cpython]") {
  const TemporaryDirectory directory;
  directory.write("new.layout", replaced(table_text(), "@thread_state.next", "@"));
  directory.write("little.schema", little_schema());
  CHECK(mistake_in(directory) == "new.layout:18: the schema little has no word ''");
}

TEST_CASE("a mistake in a directory's schema names file and line", "[cpython]") {
  const TemporaryDirectory directory;
  directory.write("little.schema", replaced(little_schema(), "exc_value", "exc value"));
  CHECK(mistake_in(directory) == "little.schema:17: 'exc value' is no word: a line is one name");
}

TEST_CASE("a directory's schema replaces the one of its name", "[cpython]") {
  const TemporaryDirectory one;
  one.write("new.layout", table_text());
  one.write("little.schema", little_schema());
  const TemporaryDirectory other;
  other.write("little.schema", little_schema() + "one.more\n");
  LayoutCatalog catalog;
  catalog.add_directory(one.path());
  const auto& source = catalog.find({9, 2, true});
  CHECK(catalog.schema_of(source).words.back() == "exc_value");
  catalog.add_directory(other.path());
  CHECK(catalog.schema_of(source).words.back() == "one.more");
}

TEST_CASE("a schema that replaces another must have the words of the layouts that name it", "[cpython]") {
  const TemporaryDirectory directory;
  directory.write("debug_offsets-3.14.schema", little_schema());
  CHECK_THAT(mistake_in(directory),
             Contains("3.14") && Contains(": the schema debug_offsets-3.14 has no word"));
}

}  // namespace sampler
