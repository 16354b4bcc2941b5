#include "sampler/model/run.h"

#include <set>
#include <string>

#include "catch.h"

namespace sampler {

TEST_CASE("the failed ticks of a run are those of all reasons", "[model]") {
  RunSummary summary;
  CHECK(summary.failed_total() == 0);
  summary.failed = {1, 20, 300, 4000, 50'000, 600'000};
  CHECK(summary.failed_total() == 654'321);
}

TEST_CASE("more failures than 32 bits hold are counted", "[model]") {
  RunSummary summary;
  summary.failed.front() = 1ULL << 32U;
  summary.failed.back() = 1ULL << 32U;
  CHECK(summary.failed_total() == 1ULL << 33U);
}

TEST_CASE("every reason for a failed tick has words of its own", "[model]") {
  std::set<std::string> texts;
  for (std::size_t i = 0; i < tick_failure_count; ++i) texts.insert(description(static_cast<TickFailure>(i)));
  CHECK(texts.size() == tick_failure_count);
  CHECK(texts.count("unknown") == 0);
}

}  // namespace sampler
