#include "sampler/sampler/ledger.h"

#include "catch.h"

namespace sampler {
namespace {

RunSummary report(const Ledger& ledger) {
  RunSummary summary;
  ledger.report(summary);
  return summary;
}

std::uint64_t failed(const RunSummary& summary, TickFailure reason) {
  return summary.failed.at(static_cast<std::size_t>(reason));
}

bool is_balanced(const RunSummary& summary) {
  return summary.asked == summary.taken + summary.late + summary.failed_total();
}

}  // namespace

TEST_CASE("a tick that ends without a failure is taken", "[sampler]") {
  Ledger ledger;
  ledger.release(ledger.open());
  const auto summary = report(ledger);
  CHECK(summary.asked == 1);
  CHECK(summary.taken == 1);
  CHECK(is_balanced(summary));
}

TEST_CASE("a tick that fails is not taken", "[sampler]") {
  Ledger ledger;
  const auto tick = ledger.open();
  ledger.fail(tick, TickFailure::unreadable);
  ledger.release(tick);
  const auto summary = report(ledger);
  CHECK(summary.asked == 1);
  CHECK(summary.taken == 0);
  CHECK(failed(summary, TickFailure::unreadable) == 1);
  CHECK(is_balanced(summary));
}

TEST_CASE("of several failures of a tick the first counts", "[sampler]") {
  Ledger ledger;
  const auto tick = ledger.open();
  ledger.fail(tick, TickFailure::stop_timed_out);
  ledger.fail(tick, TickFailure::gil_too_busy);
  ledger.release(tick);
  const auto summary = report(ledger);
  CHECK(failed(summary, TickFailure::stop_timed_out) == 1);
  CHECK(summary.failed_total() == 1);
  CHECK(is_balanced(summary));
}

TEST_CASE("a tick is open until all that retain it have released it", "[sampler]") {
  Ledger ledger;
  const auto tick = ledger.open();
  ledger.retain(tick);
  ledger.retain(tick);
  ledger.release(tick);
  ledger.release(tick);
  CHECK(report(ledger).taken == 0);
  ledger.release(tick);
  CHECK(report(ledger).taken == 1);
  CHECK(is_balanced(report(ledger)));
}

TEST_CASE("one failure among those that retain a tick fails it", "[sampler]") {
  Ledger ledger;
  const auto tick = ledger.open();
  ledger.retain(tick);
  ledger.release(tick);
  ledger.fail(tick, TickFailure::stop_timed_out);
  ledger.release(tick);
  const auto summary = report(ledger);
  CHECK(summary.taken == 0);
  CHECK(failed(summary, TickFailure::stop_timed_out) == 1);
  CHECK(is_balanced(summary));
}

TEST_CASE("a cancelled tick was never asked for, whoever retains it", "[sampler]") {
  Ledger ledger;
  const auto tick = ledger.open();
  ledger.retain(tick);
  ledger.fail(tick, TickFailure::unreadable);
  ledger.cancel(tick);
  ledger.release(tick);
  ledger.fail(tick, TickFailure::not_proven);
  ledger.release(tick);
  const auto summary = report(ledger);
  CHECK(summary.asked == 0);
  CHECK(summary.taken == 0);
  CHECK(summary.failed_total() == 0);
}

TEST_CASE("a tick that has ended can be neither cancelled nor failed", "[sampler]") {
  Ledger ledger;
  const auto tick = ledger.open();
  ledger.release(tick);
  ledger.cancel(tick);
  ledger.fail(tick, TickFailure::unreadable);
  ledger.release(tick);
  const auto summary = report(ledger);
  CHECK(summary.asked == 1);
  CHECK(summary.taken == 1);
  CHECK(is_balanced(summary));
}

TEST_CASE("late ticks were asked for", "[sampler]") {
  Ledger ledger;
  ledger.add_late(3);
  ledger.add_late(0);
  const auto summary = report(ledger);
  CHECK(summary.asked == 3);
  CHECK(summary.late == 3);
  CHECK(is_balanced(summary));
}

TEST_CASE("ticks that end in all ways together are all accounted for", "[sampler]") {
  Ledger ledger;
  const auto taken = ledger.open();
  const auto fails = ledger.open();
  const auto waits = ledger.open();
  const auto cancelled = ledger.open();
  ledger.retain(waits);
  ledger.release(waits);
  ledger.add_late(5);
  ledger.fail(fails, TickFailure::already_traced);
  ledger.release(fails);
  ledger.cancel(cancelled);
  ledger.release(taken);
  CHECK(report(ledger).asked == 8);
  CHECK(report(ledger).taken == 1);
  ledger.release(waits);
  const auto summary = report(ledger);
  CHECK(summary.taken == 2);
  CHECK(failed(summary, TickFailure::already_traced) == 1);
  CHECK(is_balanced(summary));
}

TEST_CASE("a report leaves what is not the ledger's alone", "[sampler]") {
  RunSummary summary;
  summary.samples = 7;
  Ledger{}.report(summary);
  CHECK(summary.samples == 7);
}

}  // namespace sampler
