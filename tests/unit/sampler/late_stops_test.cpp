#include "sampler/sampler/late_stops.h"

#include "catch.h"

namespace sampler {
namespace {

using namespace std::chrono_literals;

constexpr PythonThread one{{0x1000}, Tid{11}, 0};
constexpr PythonThread its_other_state{{0x2000}, Tid{11}, 1};
constexpr PythonThread two{{0x3000}, Tid{12}, 0};
constexpr LateStops::Time start{1h};

std::vector<Ledger::TickId> ticks_of(const LateStops::Stop& stop) {
  std::vector<Ledger::TickId> ticks;
  for (const auto& waiting : stop.ticks) ticks.push_back(waiting.tick);
  return ticks;
}

}  // namespace

TEST_CASE("without late stops nothing is waited for", "[sampler]") {
  LateStops stops;
  CHECK_FALSE(stops.are_waited_for(one.tid));
  CHECK_FALSE(stops.is_open(1));
  CHECK_FALSE(stops.next_overdue());
  CHECK_FALSE(stops.take_overdue(start));
  CHECK(stops.take(one.tid).empty());
  CHECK(stops.take_all().empty());
}

TEST_CASE("ticks that find a thread still waiting join its stop", "[sampler]") {
  LateStops stops;
  stops.add(one, {.holds_gil = true}, {1, start});
  stops.add(two, {}, {1, start});
  stops.add(one, {}, {2, start + 1ms});
  CHECK(stops.are_waited_for(one.tid));
  const auto taken = stops.take(one.tid);
  REQUIRE(taken.size() == 1);
  CHECK(taken.front().thread == one);
  CHECK(taken.front().activity.holds_gil);
  CHECK(ticks_of(taken.front()) == std::vector<Ledger::TickId>{1, 2});
  CHECK_FALSE(stops.are_waited_for(one.tid));
  CHECK(stops.are_waited_for(two.tid));
  CHECK(stops.is_open(1));
  CHECK_FALSE(stops.is_open(2));
}

TEST_CASE("one stop is that of all of the thread's states", "[sampler]") {
  LateStops stops;
  stops.add(one, {}, {1, start});
  stops.add(its_other_state, {}, {1, start});
  stops.add(two, {}, {1, start});
  const auto taken = stops.take(one.tid);
  REQUIRE(taken.size() == 2);
  CHECK(taken[0].thread == one);
  CHECK(taken[1].thread == its_other_state);
  CHECK(stops.take_all().size() == 1);
}

TEST_CASE("a tick is given up after the longest wait, and later ones go on waiting", "[sampler]") {
  LateStops stops;
  stops.add(one, {}, {1, start});
  stops.add(one, {}, {2, start + 1ms});
  stops.add(two, {}, {3, start + 2ms});
  REQUIRE(stops.next_overdue() == start + LateStops::longest_wait);
  CHECK_FALSE(stops.take_overdue(start + LateStops::longest_wait - 1ns));
  const auto overdue = stops.take_overdue(start + LateStops::longest_wait);
  REQUIRE(overdue);
  CHECK(overdue->thread == one);
  CHECK(ticks_of(*overdue) == std::vector<Ledger::TickId>{1});
  CHECK_FALSE(stops.is_open(1));
  CHECK(stops.is_open(2));
  CHECK(stops.are_waited_for(one.tid));
  CHECK(stops.next_overdue() == start + 1ms + LateStops::longest_wait);
}

TEST_CASE("stops that are overdue are given up one by one", "[sampler]") {
  LateStops stops;
  stops.add(one, {}, {1, start});
  stops.add(two, {}, {1, start});
  const auto late = start + 1h;
  const auto first = stops.take_overdue(late);
  REQUIRE(first);
  CHECK(first->thread == one);
  CHECK_FALSE(stops.are_waited_for(one.tid));
  CHECK(stops.is_open(1));
  const auto second = stops.take_overdue(late);
  REQUIRE(second);
  CHECK(second->thread == two);
  CHECK_FALSE(stops.is_open(1));
  CHECK_FALSE(stops.take_overdue(late));
  CHECK_FALSE(stops.next_overdue());
}

}  // namespace sampler
