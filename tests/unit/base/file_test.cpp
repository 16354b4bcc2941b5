#include "sampler/base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "catch.h"
#include "temporary_directory.h"

namespace sampler {
namespace {

namespace fs = std::filesystem;

}  // namespace

TEST_CASE("a file is read whole", "[base]") {
  const TemporaryDirectory directory;
  const std::string big(100'000, 'x');
  std::ofstream{directory.path("a")} << big;
  const auto text = read_file(directory.path("a"));
  REQUIRE(text);
  CHECK(*text == big);
}

TEST_CASE("a file longer than the limit is refused, not cut", "[base]") {
  const TemporaryDirectory directory;
  std::ofstream{directory.path("a")} << std::string(20'000, 'x');
  CHECK(read_file(directory.path("a"), 20'000));
  const auto text = read_file(directory.path("a"), 19'999);
  REQUIRE_FALSE(text);
  CHECK(text.error() == EFBIG);
}

TEST_CASE("the start of a file is as long as asked for, or the whole file", "[base]") {
  const TemporaryDirectory directory;
  std::ofstream{directory.path("a")} << std::string(20'000, 'x') << "end";
  const auto start = read_start(directory.path("a"), 20'001);
  REQUIRE(start);
  CHECK(start->size() == 20'001);
  CHECK(start->back() == 'e');
  const auto whole = read_start(directory.path("a"), 30'000);
  REQUIRE(whole);
  CHECK(whole->size() == 20'003);
}

TEST_CASE("a file that is not there cannot be read", "[base]") {
  const TemporaryDirectory directory;
  const auto text = read_file(directory.path("none"));
  REQUIRE_FALSE(text);
  CHECK(text.error() == ENOENT);
}

TEST_CASE("a directory cannot be read as a file", "[base]") {
  const TemporaryDirectory directory;
  const auto text = read_file(directory.path("."));
  REQUIRE_FALSE(text);
  CHECK(text.error() == EISDIR);
}

TEST_CASE("a pipe that nobody writes to does not make us wait", "[base]") {
  const TemporaryDirectory directory;
  REQUIRE(::mkfifo(directory.path("pipe").c_str(), 0600) == 0);
  const auto text = read_file(directory.path("pipe"));
  REQUIRE(text);
  CHECK(text->empty());
}

TEST_CASE("a link says where it leads, also where nothing is", "[base]") {
  const TemporaryDirectory directory;
  fs::create_symlink("nowhere (deleted)", directory.path("link"));
  const auto target = read_link(directory.path("link"));
  REQUIRE(target);
  CHECK(*target == "nowhere (deleted)");
}

TEST_CASE("what is no link has no target", "[base]") {
  const TemporaryDirectory directory;
  std::ofstream{directory.path("a")} << "x";
  const auto of_file = read_link(directory.path("a"));
  const auto of_nothing = read_link(directory.path("none"));
  REQUIRE_FALSE(of_file);
  REQUIRE_FALSE(of_nothing);
  CHECK(of_file.error() == EINVAL);
  CHECK(of_nothing.error() == ENOENT);
}

TEST_CASE("an opened file is not handed on to programs we start", "[base]") {
  const auto file = open_file("/dev/null", O_RDONLY);
  REQUIRE(file);
  CHECK((::fcntl(file->get(), F_GETFD) & FD_CLOEXEC) != 0);
}

}  // namespace sampler
