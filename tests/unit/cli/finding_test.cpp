#include "cli/finding.h"

#include <array>
#include <sstream>

#include "catch.h"

namespace sampler {
namespace {

std::string text_of(const Finding& finding) {
  return findings_text("heading", std::array{finding}, false);
}

}  // namespace

TEST_CASE("a finding is a line, and its cure stands below it", "[cli]") {
  const std::array findings{Finding{Verdict::ok, "this works", ""}, Finding{Verdict::note, "know this", ""},
                            Finding{Verdict::fail, "this does not", "do that"}};
  CHECK(findings_text("process 42", findings, false) ==
        "process 42\n"
        "ok    this works\n"
        "note  know this\n"
        "FAIL  this does not\n"
        "      do that\n");
}

TEST_CASE("a long cure is wrapped at whole words", "[cli]") {
  const std::string cure(
      "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
      "seventeen eighteen");
  CHECK(text_of({Verdict::note, "what", cure}) ==
        "heading\n"
        "note  what\n"
        "      one two three four five six seven eight nine ten eleven twelve thirteen\n"
        "      fourteen fifteen sixteen seventeen eighteen\n");
}

TEST_CASE("a word longer than a line stays whole", "[cli]") {
  const std::string path(100, 'x');
  CHECK(text_of({Verdict::note, "what", "see " + path + " there"}) ==
        "heading\nnote  what\n      see\n      " + path + "\n      there\n");
}

TEST_CASE("what a process is called cannot steer a terminal", "[cli]") {
  CHECK(text_of({Verdict::ok, "a\x1b[2J\nb\x7f\xc3\xa9", ""}) == "heading\nok    a?[2J?b?\xc3\xa9\n");
}

TEST_CASE("colour is the word's only", "[cli]") {
  const std::array findings{Finding{Verdict::fail, "what", "cure"}};
  CHECK(findings_text("heading", findings, true) == "heading\n\x1b[1;31mFAIL\x1b[0m  what\n      cure\n");
}

TEST_CASE("findings fail where one of them does", "[cli]") {
  CHECK_FALSE(has_failed(std::array{Finding{Verdict::ok, "", ""}, Finding{Verdict::note, "", ""}}));
  CHECK(has_failed(std::array{Finding{Verdict::ok, "", ""}, Finding{Verdict::fail, "", ""}}));
}

}  // namespace sampler
