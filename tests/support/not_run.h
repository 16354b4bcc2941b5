#pragma once

#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>

#include "catch.h"
#include "not_run.h"

namespace sampler {

/// Ways to have tests run that need more rights.
inline const std::string as_root = "sudo tools/test";
inline const std::string with_more_rights =
    "as root of a machine, or of a container that has more rights (docker run --privileged)";

/// Tells that this machine cannot run the test that calls it, and how to have it run; the test returns then.
/// As tests/support/not_run.py does it: by a line in the file that SAMPLER_NOT_RUN names, or as a failure
/// where SAMPLER_REQUIRE_ALL is 1.
inline void not_run(const std::string& what, const std::string& cure) {
  const auto environment = [](const char* name) -> std::string_view {
    const char* value =
        std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nothing here sets the environment
    return value == nullptr ? "" : value;
  };
  if (environment("SAMPLER_REQUIRE_ALL") == "1") FAIL(what + "; to have it run: " + cure);
  const std::string report{environment("SAMPLER_NOT_RUN")};
  const auto test = Catch::getResultCapture().getCurrentTestName();
  if (!report.empty()) std::ofstream{report, std::ios::app} << what + "\t" + cure + "\tunit: " + test + "\n";
  WARN("not run: " + what + "; to have it run: " + cure);
}

}  // namespace sampler
