#include "sampler/process/preemption.h"

#include <malloc.h>

#include <optional>
#include <system_error>

namespace sampler {
namespace {

using Clock = std::chrono::steady_clock;

bool has_ended(const std::optional<ThreadPlace>& place) noexcept {
  return !place || place->state == 'Z' || place->state == 'X';
}

/// The visit itself, by a thread that belongs to the CPU.
Visit read_on(int cpu, const ThreadWatch& watch, const std::function<void()>& reading) {
  Visit visit{.since = Clock::now()};
  const auto refuse = [&](Arrival why) {
    visit.arrival = why;
    return visit;
  };
  if (::sched_getcpu() != cpu) return refuse(Arrival::not_ours);
  const auto turns = watch.turns();
  const auto before = watch.place();
  if (has_ended(before)) return refuse(Arrival::ended);
  if (!turns) return refuse(Arrival::uncounted);
  if (before->cpu != cpu) return refuse(Arrival::moved);
  reading();
  const auto after = watch.place();
  visit.stood_still =
      !has_ended(after) && after->cpu == cpu && watch.turns() == turns && ::sched_getcpu() == cpu;
  visit.until = Clock::now();
  return visit;
}

}  // namespace

Preemptor::Preemptor() {
  if (::sched_getaffinity(0, sizeof own_, own_.data()) != 0) own_ = {};
}

bool Preemptor::may_use(int cpu) const noexcept {
  return cpu >= 0 && CPU_ISSET_S(static_cast<std::size_t>(cpu), sizeof own_, own_.data());
}

Visit Preemptor::visit(const ThreadWatch& watch, const ThreadPlace& place,
                       const std::function<void()>& reading) {
  if (has_ended(place)) return {Arrival::ended};
  // A realtime thread would keep us waiting on its CPU for as long as it likes.
  if (place.is_realtime) return {Arrival::realtime};
  if (!may_use(place.cpu)) return {Arrival::not_ours};
  // Ours never run at the same time: a heap for each would only take memory.
  if (threads_.empty()) ::mallopt(M_ARENA_MAX, 1);
  auto ours = threads_.find(place.cpu);
  try {
    if (ours == threads_.end()) ours = threads_.try_emplace(place.cpu, place.cpu).first;
  } catch (const std::system_error&) {
    return {Arrival::not_ours};  // there can be no more threads
  }
  Visit visit;
  const bool was_had = ours->second.run([&] { visit = read_on(place.cpu, watch, reading); });
  return was_had ? visit : Visit{Arrival::realtime};
}

}  // namespace sampler
