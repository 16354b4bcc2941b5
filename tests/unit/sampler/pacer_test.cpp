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

TEST_CASE("the shortest interval there is has a moment in each", "[sampler]") {
  Pacer pacer{start, 1ns, 5ns, 1};
  CHECK(moments(pacer) == std::vector{start, start + 1ns, start + 2ns, start + 3ns, start + 4ns});
}

}  // namespace sampler
