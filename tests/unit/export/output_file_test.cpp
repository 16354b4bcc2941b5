#include "sampler/export/output_file.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>
#include <optional>

#include "catch.h"
#include "not_run.h"
#include "sampler/base/error.h"
#include "temporary_directory.h"

namespace sampler {
namespace {

namespace fs = std::filesystem;

std::string content(const std::string& path) {
  std::ifstream in{path};
  return {std::istreambuf_iterator<char>{in}, {}};
}

void fill(const std::string& path, std::string_view text) {
  std::ofstream{path} << text;
}

mode_t mode_of(const std::string& path) {
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return status.st_mode & 07777U;
}

OutputFile::Produce text(std::string_view bytes) {
  return [bytes](std::ostream& out) { out << bytes; };
}

template <class Action>
Error error_of(Action action) {
  try {
    action();
  } catch (const Error& error) {
    return error;
  }
  FAIL("nothing was thrown");
  return Error{ErrorKind::internal, ""};
}

void check_text(const Error& error, const char* what, const char* hint) {
  CHECK(error.kind() == ErrorKind::output);
  CHECK_THAT(error.what(), Catch::Contains(what));
  CHECK_THAT(error.hint(), Catch::Contains(hint));
}

/// Without root's rights while this lives: an ordinary user has none over a directory of somebody else's.
class AsNobody {
 public:
  AsNobody() : was_root_{::geteuid() == 0} {
    if (was_root_) REQUIRE(::seteuid(nobody) == 0);
  }
  AsNobody(const AsNobody&) = delete;
  AsNobody& operator=(const AsNobody&) = delete;
  ~AsNobody() {
    if (was_root_) static_cast<void>(::seteuid(0));
  }

  static constexpr uid_t nobody = 65534;

 private:
  bool was_root_;
};

void set_mode(const std::string& path, mode_t mode) {
  REQUIRE(::chmod(path.c_str(), mode) == 0);
}

/// A file that everybody may write, in a directory of this mode.
class FileBelow {
 public:
  explicit FileBelow(mode_t mode) : path_{directory_.path("d/out")} {
    set_mode(directory_.path(""), 0755);
    fs::create_directory(directory_.path("d"));
    fill(path_, "a long old text\n");
    set_mode(path_, 0666);
    set_mode(directory_.path("d"), mode);
  }
  FileBelow(const FileBelow&) = delete;
  FileBelow& operator=(const FileBelow&) = delete;
  ~FileBelow() { ::chmod(directory_.path("d").c_str(), 0700); }

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] std::size_t entries() const {
    const auto all = fs::directory_iterator{directory_.path("d")};
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
  }

 private:
  TemporaryDirectory directory_;
  std::string path_;
};

ino_t inode_of(const std::string& path) {
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return status.st_ino;
}

}  // namespace

TEST_CASE("a new file is there only once something was written", "[export]") {
  const TemporaryDirectory directory;
  OutputFile output{directory.path("out")};
  CHECK(output.rewritable());
  CHECK(directory.entries() == 0);
  CHECK(output.write(text("one\n")) == WriteOutcome::written);
  CHECK(content(directory.path("out")) == "one\n");
  CHECK(directory.entries() == 1);
}

TEST_CASE("a new file has the mode that the umask leaves", "[export]") {
  const TemporaryDirectory directory;
  const auto before = ::umask(027);
  OutputFile{directory.path("out")}.write(text("one\n"));
  ::umask(before);
  CHECK(mode_of(directory.path("out")) == 0640);
}

TEST_CASE("each write replaces the whole file", "[export]") {
  const TemporaryDirectory directory;
  OutputFile output{directory.path("out")};
  output.write(text("a long first text\n"));
  output.write(text("two\n"));
  CHECK(content(directory.path("out")) == "two\n");
}

TEST_CASE("an existing file stays as it is until the first write and keeps its mode", "[export]") {
  const TemporaryDirectory directory;
  const auto path = directory.path("out");
  fill(path, "old\n");
  REQUIRE(::chmod(path.c_str(), 0604) == 0);
  OutputFile output{path};
  CHECK(content(path) == "old\n");
  output.write(text("new\n"));
  CHECK(content(path) == "new\n");
  CHECK(mode_of(path) == 0604);
}

TEST_CASE("a reader of the old content keeps it whole", "[export]") {
  const TemporaryDirectory directory;
  const auto path = directory.path("out");
  fill(path, "old\n");
  std::ifstream reader{path};
  OutputFile{path}.write(text("new\n"));
  std::string line;
  std::getline(reader, line);
  CHECK(line == "old");
}

TEST_CASE("more than a buffer is written whole", "[export]") {
  const TemporaryDirectory directory;
  const std::string big(1'000'000, 'x');
  OutputFile{directory.path("out")}.write(text(big));
  CHECK(content(directory.path("out")) == big);
}

TEST_CASE("of a symlink the target is replaced and the link stays", "[export]") {
  const TemporaryDirectory directory;
  fs::create_directory(directory.path("d"));
  fill(directory.path("d/target"), "old\n");
  fs::create_symlink("d/target", directory.path("middle"));
  fs::create_symlink("middle", directory.path("link"));
  OutputFile{directory.path("link")}.write(text("new\n"));
  CHECK(content(directory.path("d/target")) == "new\n");
  CHECK(fs::read_symlink(directory.path("link")) == "middle");
  CHECK(fs::read_symlink(directory.path("middle")) == "d/target");
}

TEST_CASE("the target of a dangling symlink is created", "[export]") {
  const TemporaryDirectory directory;
  fs::create_symlink(directory.path("target"), directory.path("link"));
  OutputFile{directory.path("link")}.write(text("new\n"));
  CHECK(content(directory.path("target")) == "new\n");
  CHECK(fs::is_symlink(directory.path("link")));
}

TEST_CASE("a symlink to itself is an error", "[export]") {
  const TemporaryDirectory directory;
  fs::create_symlink("link", directory.path("link"));
  check_text(error_of([&] { OutputFile{directory.path("link")}; }), "Too many levels of symbolic links",
             "-o");
}

TEST_CASE("a missing directory is an error that says to create it", "[export]") {
  const TemporaryDirectory directory;
  const auto error = error_of([&] { OutputFile{directory.path("none/out")}; });
  check_text(error, "none/out': No such file or directory", "create the directory");
  check_text(error, "cannot write", "/none'");
}

TEST_CASE("a directory is an error that says to name a file in it", "[export]") {
  const TemporaryDirectory directory;
  check_text(error_of([&] { OutputFile{directory.path("")}; }), "Is a directory", "out.samp");
}

TEST_CASE("a file used as a directory is an error", "[export]") {
  const TemporaryDirectory directory;
  fill(directory.path("file"), "");
  check_text(error_of([&] { OutputFile{directory.path("file/out")}; }), "Not a directory", "-o");
}

TEST_CASE("a name that is too long to be one is an error", "[export]") {
  const TemporaryDirectory directory;
  check_text(error_of([&] { OutputFile{directory.path(std::string(300, 'x'))}; }), "File name too long",
             "-o");
}

TEST_CASE("the longest name there can be is no error", "[export]") {
  const TemporaryDirectory directory;
  const auto path = directory.path(std::string(255, 'x'));
  OutputFile{path}.write(text("new\n"));
  CHECK(content(path) == "new\n");
}

TEST_CASE("a write that fails leaves the last whole content and no temporary file", "[export]") {
  const TemporaryDirectory directory;
  const auto path = directory.path("out");
  OutputFile output{path};
  output.write(text("whole\n"));
  CHECK_THROWS_AS(output.write([](std::ostream& out) {
    out << "half";
    throw Error{ErrorKind::internal, "half way"};
  }),
                  Error);
  CHECK(content(path) == "whole\n");
  CHECK(directory.entries() == 1);
}

TEST_CASE("a file that may not grow further is an error and stays as it was", "[export]") {
  const TemporaryDirectory directory;
  const auto path = directory.path("out");
  OutputFile output{path};
  output.write(text("whole\n"));
  // As a full disk: the write itself fails. SIGXFSZ would end the program first.
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  const rlimit small{.rlim_cur = 1000, .rlim_max = before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  const std::string big(100'000, 'x');
  const auto error = error_of([&] { output.write(text(big)); });
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
  check_text(error, "File too large", "make room");
  CHECK(content(path) == "whole\n");
  CHECK(directory.entries() == 1);
}

TEST_CASE("a full device is an error that says to make room", "[export]") {
  OutputFile output{"/dev/full"};
  CHECK_FALSE(output.rewritable());
  check_text(error_of([&] { output.write(text("x")); }), "'/dev/full': No space left on device", "make room");
}

TEST_CASE("a device takes one write", "[export]") {
  OutputFile output{"/dev/null"};
  CHECK_FALSE(output.rewritable());
  CHECK(output.write(text("x")) == WriteOutcome::written);
}

TEST_CASE("standard output takes one write", "[export]") {
  CHECK_FALSE(OutputFile{"-"}.rewritable());
  CHECK_FALSE(OutputFile{""}.rewritable());
  CHECK_FALSE(OutputFile{"/dev/stdout"}.rewritable());
}

TEST_CASE("a descriptor named by its path is written, not replaced", "[export]") {
  std::array<int, 2> pipe_ends{};
  REQUIRE(::pipe(pipe_ends.data()) == 0);
  const UniqueFd reader{pipe_ends[0]};
  const UniqueFd writer{pipe_ends[1]};
  OutputFile output{"/dev/fd/" + std::to_string(writer.get())};
  CHECK(output.write(text("one\n")) == WriteOutcome::written);
  std::array<char, 16> got{};
  CHECK(::read(reader.get(), got.data(), got.size()) == 4);
}

TEST_CASE("a descriptor that is not open or only for reading is an error", "[export]") {
  std::array<int, 2> pipe_ends{};
  REQUIRE(::pipe(pipe_ends.data()) == 0);
  const UniqueFd reader{pipe_ends[0]};
  const UniqueFd writer{pipe_ends[1]};
  check_text(error_of([&] { OutputFile{"/dev/fd/" + std::to_string(reader.get())}; }), "Bad file descriptor",
             "-o");
  check_text(error_of([] { OutputFile{"/dev/fd/12345"}; }), "Bad file descriptor", "-o");
}

TEST_CASE("a pipe without its reader is closed and no error", "[export]") {
  std::signal(SIGPIPE, SIG_IGN);
  std::array<int, 2> pipe_ends{};
  REQUIRE(::pipe(pipe_ends.data()) == 0);
  const UniqueFd writer{pipe_ends[1]};
  ::close(pipe_ends[0]);
  OutputFile output{"/dev/fd/" + std::to_string(writer.get())};
  CHECK(output.write(text("one\n")) == WriteOutcome::closed);
}

TEST_CASE("a pipe that nobody empties is waited for until the caller gives up", "[export]") {
  std::array<int, 2> pipe_ends{};
  REQUIRE(::pipe(pipe_ends.data()) == 0);
  const UniqueFd reader{pipe_ends[0]};
  const UniqueFd writer{pipe_ends[1]};
  OutputFile output{"/dev/fd/" + std::to_string(writer.get())};
  const std::string big(1'000'000, 'x');
  const auto error = error_of([&] { output.write(text(big), [] { return false; }); });
  check_text(error, "had to wait for a reader", "reading");
}

TEST_CASE("a FIFO whose reader goes away is an error", "[export]") {
  std::signal(SIGPIPE, SIG_IGN);
  const TemporaryDirectory directory;
  const auto path = directory.path("fifo");
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  OutputFile output{path};
  std::optional<UniqueFd> reader{::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC)};
  const std::string big(1'000'000, 'x');
  const auto error = error_of([&] {
    output.write([&](std::ostream& stream) {
      reader.reset();
      stream << big;
    });
  });
  check_text(error, "Broken pipe", "reader");
}

TEST_CASE("a FIFO is opened at the end, for the reader that is waiting", "[export]") {
  const TemporaryDirectory directory;
  const auto path = directory.path("fifo");
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  OutputFile output{path};
  CHECK_FALSE(output.rewritable());
  auto reader = std::async(std::launch::async, [&] { return content(path); });
  const std::string big(200'000, 'x');
  CHECK(output.write(text(big)) == WriteOutcome::written);
  CHECK(reader.get() == big);
  CHECK(fs::is_fifo(path));
}

TEST_CASE("a FIFO that nobody reads is waited for until the caller gives up", "[export]") {
  const TemporaryDirectory directory;
  const auto path = directory.path("fifo");
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  OutputFile output{path};
  int asked = 0;
  const auto error = error_of([&] { output.write(text("x"), [&] { return ++asked < 3; }); });
  CHECK(asked == 3);
  check_text(error, "had to wait for a reader", "flamegraph.pl <");
}

TEST_CASE("a file that may be written in a directory that may not is written in place", "[export]") {
  const FileBelow file{0555};
  const auto inode = inode_of(file.path());
  {
    const AsNobody user;
    OutputFile output{file.path()};
    CHECK(output.rewritable());
    CHECK(content(file.path()) == "a long old text\n");
    CHECK(output.write(text("first\n")) == WriteOutcome::written);
    CHECK(content(file.path()) == "first\n");
    output.write(text("2\n"));
    CHECK(output.keeps_last_write());
  }
  CHECK(content(file.path()) == "2\n");
  CHECK(inode_of(file.path()) == inode);
  CHECK(file.entries() == 1);
}

TEST_CASE("a file of somebody else's in a sticky directory is written in place", "[export]") {
  if (::geteuid() != 0) {
    return not_run("we are not root", as_root);
  }
  const FileBelow file{01777};
  const auto inode = inode_of(file.path());
  {
    const AsNobody user;
    OutputFile{file.path()}.write(text("new\n"));
  }
  CHECK(content(file.path()) == "new\n");
  CHECK(inode_of(file.path()) == inode);
  CHECK(file.entries() == 1);
}

TEST_CASE("our own file in a sticky directory is replaced", "[export]") {
  const FileBelow file{01777};
  const auto inode = inode_of(file.path());
  OutputFile{file.path()}.write(text("new\n"));
  CHECK(content(file.path()) == "new\n");
  CHECK(inode_of(file.path()) != inode);
}

TEST_CASE("a new file in a directory that may not be written is an error at once", "[export]") {
  const FileBelow file{0555};
  const AsNobody user;
  check_text(error_of([&] { OutputFile{file.path() + "2"}; }), "Permission denied", "-o");
}

TEST_CASE("a directory that takes no new file any more does not stop what may be written", "[export]") {
  const FileBelow file{0777};
  const AsNobody user;
  OutputFile output{file.path()};
  {
    const bool is_root = ::getuid() == 0;
    if (is_root) REQUIRE(::seteuid(0) == 0);
    set_mode(fs::path{file.path()}.parent_path(), 0555);
    if (is_root) REQUIRE(::seteuid(AsNobody::nobody) == 0);
  }
  output.write(text("new\n"));
  CHECK(content(file.path()) == "new\n");
  CHECK(output.keeps_last_write());
}

TEST_CASE("a directory that is away for a while fails the writes of that while only", "[export]") {
  const TemporaryDirectory directory;
  fs::create_directory(directory.path("d"));
  OutputFile output{directory.path("d/out")};
  output.write(text("one\n"));
  CHECK(output.keeps_last_write());
  fs::rename(directory.path("d"), directory.path("away"));
  CHECK_THROWS_AS(output.write(text("two\n")), Error);
  CHECK_FALSE(output.keeps_last_write());
  fs::rename(directory.path("away"), directory.path("d"));
  CHECK(output.keeps_last_write());
  output.write(text("three\n"));
  CHECK(content(directory.path("d/out")) == "three\n");
}

TEST_CASE("a file whose directory moves while it is written moves with it", "[export]") {
  const TemporaryDirectory directory;
  fs::create_directory(directory.path("d"));
  OutputFile{directory.path("d/out")}.write([&](std::ostream& out) {
    fs::rename(directory.path("d"), directory.path("away"));
    out << "new\n";
  });
  CHECK(content(directory.path("away/out")) == "new\n");
  CHECK(directory.entries() == 1);
}

TEST_CASE("what another put in the place of a file is not what was written last", "[export]") {
  const TemporaryDirectory directory;
  const auto path = directory.path("out");
  OutputFile output{path};
  CHECK_FALSE(output.keeps_last_write());
  output.write(text("one\n"));
  fill(directory.path("other"), "other\n");
  fs::rename(directory.path("other"), path);
  CHECK_FALSE(output.keeps_last_write());
}

}  // namespace sampler
