#include "sampler/export/format_registry.h"

#include "catch.h"
#include "sampler/base/error.h"

namespace sampler {
namespace {

void check_refused(const char* file) {
  try {
    (void)format_for_file(file);
    FAIL(file << " was not refused");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::usage);
    CHECK(std::string{error.what()}.find(file) != std::string::npos);
    CHECK(error.hint().find("-o out.samp") != std::string::npos);
    CHECK(error.hint().find("flamegraph.pl") != std::string::npos);
  }
}

}  // namespace

TEST_CASE("the folded format registers itself", "[export]") {
  REQUIRE(formats().size() == 1);
  CHECK(formats().front().name == "folded");
  CHECK_FALSE(formats().front().summary.empty());
  CHECK(formats().front().open(FormatOptions{}) != nullptr);
}

TEST_CASE("a file name whose extension means no format is folded", "[export]") {
  CHECK(format_for_file("out.samp").name == "folded");
  CHECK(format_for_file("out.folded").name == "folded");
  CHECK(format_for_file("out").name == "folded");
  CHECK(format_for_file("svg").name == "folded");
  CHECK(format_for_file("dir.svg/out.txt").name == "folded");
}

TEST_CASE("standard output is folded", "[export]") {
  CHECK(format_for_file("-").name == "folded");
  CHECK(format_for_file("").name == "folded");
}

TEST_CASE("the extension of a format that cannot be written is refused with a way to get it", "[export]") {
  check_refused("out.svg");
  check_refused("out.SVG");
  check_refused("/tmp/out.html");
  check_refused("out.htm");
  check_refused("out.json");
  check_refused("out.json.gz");
  check_refused("out.pb");
  check_refused("out.pb.gz");
  check_refused("out.pprof");
  check_refused("out.speedscope");
  check_refused("out.speedscope.json");
  check_refused("out.sqlite");
  check_refused("out.db");
  check_refused("out.perfetto");
  check_refused("out.pstats");
  check_refused("out.prof");
  check_refused("out.callgrind");
  check_refused("out.lprof");
  check_refused("out.jsonl");
  check_refused("out.pyisession");
}

}  // namespace sampler
