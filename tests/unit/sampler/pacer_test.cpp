#include "sampler/sampler/pacer.h"

#include <algorithm>
#include <set>
#include <vector>

#include "catch.h"

namespace sampler {
namespace {

using namespace std::chrono_literals;
using Time = Pacer::Time;

constexpr Time start{1'000s};

/// The moments of a run that is never late, at most `most` of them.
std::vector<Time> moments(Pacer& pacer, std::size_t most = 100'000) {
  std::vector<Time> found;
  while (pacer.next() && found.size() < most) {
    const auto now = *pacer.next();
    const auto due = pacer.advance(now);
    REQUIRE(due.is_due);
    REQUIRE(due.late == 0);
    found.push_back(now);
  }
  return found;
}

/// Whether moment i lies in interval i of the schedule.
bool are_one_per_interval(const std::vector<Time>& moments, Pacer::Duration interval) {
  for (std::size_t i = 0; i < moments.size(); ++i) {
    const auto begin = start + interval * static_cast<std::int64_t>(i);
    if (moments[i] < begin || moments[i] >= begin + interval) return false;
  }
  return true;
}

/// All that is due and late at one moment.
struct Total {
  std::uint64_t due = 0;
  std::uint64_t late = 0;
};
Total advance_all(Pacer& pacer, Time now) {
  Total total;
  while (pacer.next() && *pacer.next() <= now) {
    const auto due = pacer.advance(now);
    total.due += due.is_due ? 1 : 0;
    total.late += due.late;
  }
  return total;
}

}  // namespace

TEST_CASE("a duration has exactly as many ticks as it has intervals", "[sampler]") {
  Pacer pacer{start, 10ms, 1s, 1};
  CHECK(moments(pacer).size() == 100);
  CHECK_FALSE(pacer.next());
}

TEST_CASE("each interval has one moment", "[sampler]") {
  Pacer pacer{start, 10ms, 2s, 7};
  const auto found = moments(pacer);
  CHECK(found.size() == 200);
  CHECK(are_one_per_interval(found, 10ms));
}

TEST_CASE("the moments are spread over their intervals", "[sampler]") {
  Pacer pacer{start, 1ms, 1s, 3};
  std::set<Pacer::Duration> offsets;
  Pacer::Duration sum{0};
  for (const auto moment : moments(pacer)) {
    offsets.insert((moment - start) % 1ms);
    sum += (moment - start) % 1ms;
  }
  CHECK(offsets.size() > 990);
  CHECK(*offsets.begin() < 20us);
  CHECK(*offsets.rbegin() > 980us);
  CHECK(sum / 1000 > 450us);
  CHECK(sum / 1000 < 550us);
}

TEST_CASE("another seed has other moments", "[sampler]") {
  Pacer one{start, 10ms, 1s, 1};
  Pacer two{start, 10ms, 1s, 2};
  CHECK(moments(one) != moments(two));
}

TEST_CASE("nothing is due before its moment", "[sampler]") {
  Pacer pacer{start, 10ms, 1s, 5};
  const auto next = pacer.next();
  REQUIRE(next);
  const auto due = pacer.advance(*next - 1ns);
  CHECK_FALSE(due.is_due);
  CHECK(due.late == 0);
  CHECK(pacer.next() == next);
}

TEST_CASE("a moment missed by no more than an interval is sampled", "[sampler]") {
  Pacer pacer{start, 10ms, 1s, 5};
  const auto due = pacer.advance(*pacer.next() + 10ms);
  CHECK(due.is_due);
  CHECK(due.late == 0);
}

TEST_CASE("a moment missed by more than an interval is late", "[sampler]") {
  Pacer pacer{start, 10ms, 10ms, 5};
  const auto due = pacer.advance(*pacer.next() + 10ms + 1ns);
  CHECK_FALSE(due.is_due);
  CHECK(due.late == 1);
  CHECK_FALSE(pacer.next());
}

TEST_CASE("late moments are skipped and counted but never made up for", "[sampler]") {
  Pacer pacer{start, 10ms, 1s, 11};
  const auto missed = advance_all(pacer, start + 505ms);
  // Of interval 48 the moment is late whatever it is, of 49 it may be, of 50 it may not be due yet.
  CHECK(missed.late >= 49);
  CHECK(missed.late <= 50);
  CHECK(missed.due <= 2);
  const auto rest = moments(pacer);
  CHECK(missed.late + missed.due + rest.size() == 100);
  CHECK(std::all_of(rest.begin(), rest.end(), [](Time moment) { return moment > start + 505ms; }));
}

TEST_CASE("one advance asks for one sample at most", "[sampler]") {
  Pacer twin{start, 10ms, 1s, 11};
  const auto plan = moments(twin);
  const auto later =
      std::adjacent_find(plan.begin(), plan.end(), [](Time one, Time next) { return next - one <= 10ms; }) +
      1;
  REQUIRE(later < plan.end());
  Pacer pacer{start, 10ms, 1s, 11};
  CHECK(pacer.advance(*later).is_due);
  CHECK(pacer.next() == *later);
  CHECK(pacer.advance(*later).is_due);
  CHECK((!pacer.next() || *pacer.next() > *later));
}

TEST_CASE("after the end all moments that were missed are late and nothing is due", "[sampler]") {
  Pacer pacer{start, 10ms, 1s, 1};
  const auto due = pacer.advance(start + 1h);
  CHECK_FALSE(due.is_due);
  CHECK(due.late == 100);
  CHECK_FALSE(pacer.next());
  CHECK(pacer.advance(start + 2h).late == 0);
}

TEST_CASE("a duration of 0 is one tick at once", "[sampler]") {
  Pacer pacer{start, 10ms, 0s, 1};
  CHECK(pacer.next() == start);
  CHECK_FALSE(pacer.deadline());
  CHECK(pacer.advance(start).is_due);
  CHECK_FALSE(pacer.next());
  CHECK_FALSE(pacer.advance(start + 1s).is_due);
}

TEST_CASE("the one tick of a duration of 0 is never late", "[sampler]") {
  Pacer pacer{start, 10ms, 0s, 1};
  const auto due = pacer.advance(start + 1h);
  CHECK(due.is_due);
  CHECK(due.late == 0);
}

TEST_CASE("an interval of 0 is always due until the deadline", "[sampler]") {
  Pacer pacer{start, 0ns, 1s, 1};
  CHECK(pacer.deadline() == start + 1s);
  CHECK(pacer.advance(start).is_due);
  CHECK(pacer.advance(start).is_due);
  CHECK(pacer.advance(start + 999ms).is_due);
  CHECK(pacer.next() == start);
  const auto due = pacer.advance(start + 1s);
  CHECK_FALSE(due.is_due);
  CHECK(due.late == 0);
  CHECK_FALSE(pacer.next());
}

TEST_CASE("an interval of 0 without a duration is always due", "[sampler]") {
  Pacer pacer{start, 0ns, std::nullopt, 1};
  CHECK(pacer.advance(start + 24h).is_due);
  CHECK(pacer.advance(start + 48h).late == 0);
  CHECK(pacer.next());
}

TEST_CASE("an interval and a duration of 0 are one tick", "[sampler]") {
  Pacer pacer{start, 0ns, 0s, 1};
  CHECK(moments(pacer) == std::vector{start});
}

TEST_CASE("without a duration the ticks go on for ever", "[sampler]") {
  Pacer pacer{start, 10ms, std::nullopt, 1};
  CHECK_FALSE(pacer.deadline());
  const auto found = moments(pacer, 50'000);
  CHECK(found.size() == 50'000);
  CHECK(are_one_per_interval(found, 10ms));
  CHECK(pacer.next());
}

TEST_CASE("an interval that does not divide the duration has the ticks that fit whole", "[sampler]") {
  Pacer pacer{start, 30ms, 100ms, 1};
  const auto found = moments(pacer);
  CHECK(found.size() == 3);
  CHECK(are_one_per_interval(found, 30ms));
  CHECK(pacer.deadline() == start + 100ms);
}

TEST_CASE("a duration shorter than the interval has one tick", "[sampler]") {
  Pacer pacer{start, 100ms, 10ms, 1};
  CHECK(moments(pacer).size() == 1);
}

TEST_CASE("a wider interval has one moment, and leaves out the others", "[sampler]") {
  Pacer pacer{start, 10ms, 1s, 1};
  pacer.set_interval(30ms);
  CHECK(pacer.interval() == 30ms);
  CHECK(pacer.advance(*pacer.next()).left_out == 0);  // the interval at work ends first
  std::vector<Time> found;
  std::uint64_t left_out = 0;
  while (pacer.next()) {
    found.push_back(*pacer.next());
    const auto due = pacer.advance(*pacer.next());
    CHECK(due.is_due);
    CHECK(due.late == 0);
    left_out += due.left_out;
  }
  CHECK(found.size() == 33);
  CHECK(left_out == 66);
  for (std::size_t i = 0; i < found.size(); ++i) {
    CHECK(found[i] >= start + 10ms + 30ms * i);
    CHECK(found[i] < start + 40ms + 30ms * i);
  }
}

TEST_CASE("the moments of a wider interval are spread over all of it", "[sampler]") {
  Pacer pacer{start, 1ms, std::nullopt, 3};
  pacer.set_interval(10ms);
  static_cast<void>(pacer.advance(*pacer.next()));
  Pacer::Duration sum{0};
  for (int i = 0; i < 1000; ++i) {
    sum += (*pacer.next() - start - 1ms) % 10ms;
    static_cast<void>(pacer.advance(*pacer.next()));
  }
  CHECK(sum / 1000 > 4'700us);
  CHECK(sum / 1000 < 5'300us);
}

TEST_CASE("a wider interval is a whole number of asked ones", "[sampler]") {
  Pacer pacer{start, 10ms, 1s, 1};
  for (const auto& [interval, actual] :
       {std::pair{10'000us, 10ms}, {10'001us, 20ms}, {19'999us, 20ms}, {20'000us, 20ms}, {1us, 10ms}}) {
    pacer.set_interval(interval);
    CHECK(pacer.interval() == actual);
  }
}

TEST_CASE("an interval that was wide can be the asked one again", "[sampler]") {
  Pacer pacer{start, 10ms, 1s, 1};
  pacer.set_interval(500ms);
  static_cast<void>(pacer.advance(*pacer.next()));
  pacer.set_interval(10ms);
  CHECK(pacer.advance(*pacer.next()).left_out == 49);
  CHECK(moments(pacer).size() == 49);
}

TEST_CASE("an interval that is wider than what is left of the run ends with it", "[sampler]") {
  Pacer pacer{start, 10ms, 100ms, 1};
  pacer.set_interval(1s);
  static_cast<void>(pacer.advance(*pacer.next()));
  CHECK(*pacer.next() < start + 100ms);
  CHECK(pacer.advance(*pacer.next()).left_out == 8);
  CHECK_FALSE(pacer.next());
}

TEST_CASE("all moments of wide intervals that are missed are late or left out", "[sampler]") {
  for (const auto missed : {25ms, 31ms, 95ms, 500ms, 1'000ms, 5'000ms}) {
    Pacer pacer{start, 10ms, 1s, 1};
    pacer.set_interval(30ms);
    static_cast<void>(pacer.advance(*pacer.next()));
    std::uint64_t counted = 1;
    std::uint64_t late = 0;
    const auto count = [&](Time now) {
      const auto due = pacer.advance(now);
      counted += due.late + due.left_out + (due.is_due ? 1 : 0);
      late += due.late;
    };
    while (pacer.next() && *pacer.next() <= start + missed) count(start + missed);
    CHECK(late + 3 >= static_cast<std::uint64_t>(std::min(missed, 1'000ms) / 30ms));
    CHECK(late <= static_cast<std::uint64_t>(std::min(missed, 1'000ms) / 30ms));
    while (pacer.next()) count(*pacer.next());
    CHECK(counted == 100);
  }
}

TEST_CASE("an interval that is added to as fast as it goes is that long on average", "[sampler]") {
  Pacer pacer{start, 0ns, std::nullopt, 1};
  pacer.set_interval(10ms);
  CHECK(pacer.interval() == 10ms);
  std::set<Pacer::Duration> waits;
  auto now = start;
  for (int i = 0; i < 1000; ++i) {
    const auto due = pacer.advance(now);
    CHECK(due.is_due);
    CHECK(due.late + due.left_out == 0);
    waits.insert(*pacer.next() - now);
    now = *pacer.next();
  }
  CHECK((now - start) / 1000 > 9ms);
  CHECK((now - start) / 1000 < 11ms);
  CHECK(*waits.begin() < 1ms);
  CHECK(*waits.rbegin() > 19ms);
  pacer.set_interval(0ns);
  CHECK(pacer.advance(now).is_due);
  CHECK(pacer.advance(now).is_due);
}

TEST_CASE("an interval that is added to as fast as it goes ends with the run", "[sampler]") {
  Pacer pacer{start, 0ns, 1s, 1};
  pacer.set_interval(1h);
  CHECK(pacer.advance(start).is_due);
  CHECK(pacer.next() == start + 1s);
  CHECK_FALSE(pacer.advance(start + 1s).is_due);
  CHECK_FALSE(pacer.next());
}

TEST_CASE("the shortest interval there is has a moment in each", "[sampler]") {
  Pacer pacer{start, 1ns, 5ns, 1};
  CHECK(moments(pacer) == std::vector{start, start + 1ns, start + 2ns, start + 3ns, start + 4ns});
}

}  // namespace sampler
