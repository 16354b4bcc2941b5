#include "sampler/base/log.h"

#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <string>

#include "catch.h"
#include "sampler/base/error.h"
#include "sampler/base/unique_fd.h"

namespace sampler {
namespace {

/// What is written to standard error while this lives; the levels of before come back with its end.
class CapturedLog {
 public:
  CapturedLog() : original_{::dup(STDERR_FILENO)}, capture_{::memfd_create("log", MFD_CLOEXEC)} {
    REQUIRE(::dup2(capture_.get(), STDERR_FILENO) == STDERR_FILENO);
  }
  CapturedLog(const CapturedLog&) = delete;
  CapturedLog& operator=(const CapturedLog&) = delete;
  ~CapturedLog() {
    ::dup2(original_.get(), STDERR_FILENO);
    configure_logging("warning");
  }

  [[nodiscard]] std::string text() const {
    std::array<char, 4096> buffer;
    const auto got = ::pread(capture_.get(), buffer.data(), buffer.size(), 0);
    return {buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(got, 0))};
  }

 private:
  UniqueFd original_;
  UniqueFd capture_;
};

void check_mistake(std::string_view specification, const std::string& what, const std::string& cure) {
  try {
    configure_logging(specification);
    FAIL("no error: " << what);
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::usage);
    CHECK_THAT(error.what(), Catch::Contains(what));
    CHECK_THAT(error.hint(), Catch::Contains(cure));
  }
}

}  // namespace

TEST_CASE("a warning is logged unasked with its layer, an info is not", "[base]") {
  const CapturedLog captured;
  log(LogLayer::elf, LogLevel::info, "quiet");
  log(LogLayer::elf, LogLevel::warning, "loud");
  CHECK(captured.text() == "sampler: elf: loud\n");
}

TEST_CASE("each layer has a level of its own", "[base]") {
  const CapturedLog captured;
  configure_logging("cpython=debug,elf=error");
  log(LogLayer::cpython, LogLevel::debug, "one");
  log(LogLayer::elf, LogLevel::warning, "two");
  log(LogLayer::sampler, LogLevel::warning, "three");
  log(LogLayer::sampler, LogLevel::info, "four");
  CHECK(captured.text() == "sampler: cpython: one\nsampler: sampler: three\n");
}

TEST_CASE("one level is for all layers", "[base]") {
  const CapturedLog captured;
  configure_logging("info");
  log(LogLayer::process, LogLevel::info, "one");
  log(LogLayer::cli, LogLevel::info, "two");
  log(LogLayer::memory, LogLevel::debug, "three");
  CHECK(captured.text() == "sampler: process: one\nsampler: cli: two\n");
}

TEST_CASE("silence leaves errors only", "[base]") {
  const CapturedLog captured;
  configure_logging("debug");
  silence_logging();
  log(LogLayer::cli, LogLevel::warning, "one");
  log(LogLayer::cli, LogLevel::error, "two");
  CHECK(captured.text() == "sampler: cli: two\n");
}

TEST_CASE("a logged text is never taken for a format", "[base]") {
  const CapturedLog captured;
  log(LogLayer::cli, LogLevel::error, "{} %n %v {0}");
  CHECK(captured.text() == "sampler: cli: {} %n %v {0}\n");
}

TEST_CASE("an unknown log level is a usage error that names those there are", "[base]") {
  check_mistake("loud", "'loud'", "debug, info, warning or error");
  check_mistake("elf=loud", "'loud'", "debug, info, warning or error");
  check_mistake("elf=", "''", "debug, info, warning or error");
  check_mistake("DEBUG", "'DEBUG'", "debug, info, warning or error");
}

TEST_CASE("an unknown log layer is a usage error that names those there are", "[base]") {
  check_mistake("python=debug", "'python'", "process, memory, elf, cpython, sampler, cli");
  check_mistake("=debug", "''", "process, memory");
}

TEST_CASE("an empty item between commas is a usage error", "[base]") {
  check_mistake(",elf=warning", "''", "debug");
  check_mistake("elf=warning,,cli=warning", "''", "debug");
}

}  // namespace sampler
