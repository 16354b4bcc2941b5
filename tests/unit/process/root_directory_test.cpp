#include "process/root_directory.h"

#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>

#include "catch.h"
#include "temporary_directory.h"

namespace sampler {
namespace {

ino_t inode_of(const std::string& path) {
  struct stat facts {};
  REQUIRE(::lstat(path.c_str(), &facts) == 0);
  return facts.st_ino;
}

std::string content(const UniqueFd& file) {
  std::array<char, 64> text{};
  const auto got = ::read(file.get(), text.data(), text.size());
  REQUIRE(got >= 0);
  return {text.data(), static_cast<std::size_t>(got)};
}

/// A directory with the file lib/python/library, whose text is "it".
struct Root {
  Root() {
    std::filesystem::create_directories(path("lib/python"));
    std::ofstream{path("lib/python/library")} << "it";
    inode = inode_of(path("lib/python/library"));
  }
  [[nodiscard]] std::string path(const std::string& below) const { return directory.path(below); }
  [[nodiscard]] Result<UniqueFd, int> open(const std::string& below) const {
    return open_below(directory.path(""), below, inode);
  }

  TemporaryDirectory directory;
  ino_t inode = 0;
};

}  // namespace

TEST_CASE("a path of the maps that starts at our root goes on below the process's", "[process]") {
  CHECK(path_below_root("/srv/box/usr/lib/x.so", "/srv/box") == "/usr/lib/x.so");
  CHECK(path_below_root("/usr/lib/x.so", "/") == "/usr/lib/x.so");
  CHECK(path_below_root("/usr/lib/x.so", "/srv/box") == "/usr/lib/x.so");
  CHECK(path_below_root("/srv/boxes/x.so", "/srv/box") == "/srv/boxes/x.so");
  CHECK(path_below_root("/srv/box", "/srv/box") == "/srv/box");
  CHECK(path_below_root("/srv", "/srv/box") == "/srv");
  CHECK(path_below_root("/usr/lib/x.so", "") == "/usr/lib/x.so");
}

TEST_CASE("a file is opened by its path below a directory", "[process]") {
  const Root root;
  const auto file = root.open("/lib/python/library");
  REQUIRE(file);
  CHECK(content(*file) == "it");
  CHECK(root.open("//lib///python//library"));
}

TEST_CASE("without a path the place itself is opened", "[process]") {
  const Root root;
  const auto file = open_below(root.path("lib/python/library"), "", root.inode);
  REQUIRE(file);
  CHECK(content(*file) == "it");
}

TEST_CASE("without an inode any regular file is opened, and nothing else", "[process]") {
  const Root root;
  REQUIRE(::mkfifo(root.path("fifo").c_str(), 0600) == 0);
  CHECK(open_below(root.path("lib/python/library"), "", std::nullopt));
  CHECK_FALSE(open_below(root.path("fifo"), "", std::nullopt));
}

TEST_CASE("no symbolic link is followed, wherever in the path and wherever to", "[process]") {
  const Root root;
  std::filesystem::create_symlink("lib", root.path("relative"));
  std::filesystem::create_symlink(root.path("lib"), root.path("absolute"));
  std::filesystem::create_symlink("library", root.path("lib/python/link"));
  CHECK_FALSE(root.open("/relative/python/library"));
  CHECK_FALSE(root.open("/absolute/python/library"));
  CHECK_FALSE(root.open("/lib/python/link"));
}

TEST_CASE("no path leads up", "[process]") {
  const Root root;
  CHECK_FALSE(root.open("/lib/../lib/python/library"));
  CHECK_FALSE(open_below(root.path("lib/python"), "../python/library", root.inode));
}

TEST_CASE("another file of the same name is not opened", "[process]") {
  const Root root;
  std::filesystem::rename(root.path("lib/python/library"), root.path("lib/python/old"));
  std::ofstream{root.path("lib/python/library")} << "another";
  const auto file = root.open("/lib/python/library");
  REQUIRE_FALSE(file);
  CHECK(file.error() == ENOENT);
}

TEST_CASE("a file that is gone is not there", "[process]") {
  const Root root;
  std::filesystem::remove(root.path("lib/python/library"));
  const auto file = root.open("/lib/python/library");
  REQUIRE_FALSE(file);
  CHECK(file.error() == ENOENT);
}

TEST_CASE("what is no regular file is not opened", "[process]") {
  Root root;
  REQUIRE(::mkfifo(root.path("fifo").c_str(), 0600) == 0);
  root.inode = inode_of(root.path("fifo"));
  CHECK_FALSE(root.open("/fifo"));
  root.inode = inode_of(root.path("lib"));
  CHECK_FALSE(root.open("/lib"));
  CHECK_FALSE(root.open("/lib/python/library/more"));
}

}  // namespace sampler
