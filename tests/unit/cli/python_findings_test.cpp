#include "cli/python_findings.h"

#include <array>

#include "catch.h"

namespace sampler {

TEST_CASE("a step that led nowhere is a note, since another may lead on", "[cli]") {
  const std::array steps{LocateStep{false, "a file has none"}, LocateStep{true, "another has one"}};
  CHECK(step_findings(steps) ==
        Findings{{Verdict::note, "a file has none", ""}, {Verdict::ok, "another has one", ""}});
}

TEST_CASE("interpreters and their threads are counted", "[cli]") {
  ThreadList list;
  list.interpreters.resize(2);
  list.threads.resize(5);
  CHECK(interpreter_findings("/opt/libpython3.12.so.1.0", list) ==
        Findings{{Verdict::ok,
                  "the Python in /opt/libpython3.12.so.1.0 is initialised; interpreters: 2, thread states: 5",
                  ""}});
}

TEST_CASE("a list that changes while it is read is a note", "[cli]") {
  ThreadList list;
  list.is_damaged = true;
  const auto findings = interpreter_findings("/usr/bin/python3", list);
  REQUIRE(findings.size() == 1);
  CHECK(findings[0].verdict == Verdict::note);
}

TEST_CASE("Python processes that a Python has started are named", "[cli]") {
  const std::array children{Pid{7}, Pid{8}};
  const auto findings = children_findings(children);
  REQUIRE(findings.size() == 1);
  CHECK(findings[0].verdict == Verdict::note);
  CHECK(findings[0].what == "it has started Python processes: 7 8");
  CHECK(children_findings({}).empty());
}

TEST_CASE("every Python that can be sampled has a line with where its layout is from", "[cli]") {
  const auto text = pythons_text(LayoutCatalog{});
  CHECK_THAT(text, Catch::StartsWith("supported Pythons\n      2.7    built in\n"));
  CHECK_THAT(text, Catch::Contains("      3.12   built in\n"));
  CHECK_THAT(text, Catch::Contains("      3.15t  built in, from headers, not tested\n"));
}

}  // namespace sampler
