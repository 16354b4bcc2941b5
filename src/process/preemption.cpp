#include "sampler/process/preemption.h"

#include <unistd.h>

#include "sampler/process/short_slice.h"

namespace sampler {
namespace {

CpuSet single(int cpu) noexcept {
  CpuSet set{};
  CPU_SET_S(static_cast<std::size_t>(cpu), sizeof set, set.data());
  return set;
}

bool has_ended(const std::optional<ThreadPlace>& place) noexcept {
  return !place || place->state == 'Z' || place->state == 'X';
}

/// Whether it could be set. A child of ours gets none of it, by the flag.
bool set_policy(int policy, int priority) noexcept {
  const sched_param parameter{priority};
  return ::sched_setscheduler(0, policy | SCHED_RESET_ON_FORK, &parameter) == 0;
}

bool is_ordinary(int policy) noexcept {
  return policy == SCHED_OTHER || policy == SCHED_BATCH || policy == SCHED_IDLE;
}

}  // namespace

Preemptor::Preemptor() {
  if (::sched_getaffinity(0, sizeof own_, own_.data()) != 0) own_ = {};
  is_single_ = CPU_COUNT_S(sizeof own_, own_.data()) == 1;
  policy_ = ::sched_getscheduler(0) & ~SCHED_RESET_ON_FORK;
  if (!is_ordinary(policy_)) return;
  ask_for_short_slice();
  // Tried, for the capability alone does not tell: a cgroup may have no realtime to give.
  is_realtime_ = set_policy(SCHED_FIFO, 1);
  lower_priority();
}

bool Preemptor::may_use(int cpu) const noexcept {
  return cpu >= 0 && CPU_ISSET_S(static_cast<std::size_t>(cpu), sizeof own_, own_.data());
}

bool Preemptor::go_to(int cpu) const noexcept {
  if (is_single_) return true;
  const auto there = single(cpu);
  return ::sched_setaffinity(0, sizeof there, there.data()) == 0;
}

void Preemptor::go_back(int home) const noexcept {
  if (is_single_) return;
  // A wider mask alone would leave us where we are, in the thread's way.
  if (::sched_getcpu() != home) static_cast<void>(go_to(home));
  ::sched_setaffinity(0, sizeof own_, own_.data());
}

void Preemptor::raise_priority() const noexcept {
  if (is_realtime_) set_policy(SCHED_FIFO, 1);
}

void Preemptor::lower_priority() const noexcept {
  if (is_realtime_) set_policy(policy_, 0);
}

Preemption::Preemption(const Preemptor& preemptor, const ThreadWatch& watch, const ThreadPlace& place)
    : preemptor_{preemptor},
      watch_{watch},
      home_{::sched_getcpu()},
      cpu_{place.cpu},
      arrival_{arrive(place)} {
  if (arrival_ != Arrival::there) leave();
}

Arrival Preemption::arrive(const ThreadPlace& place) {
  if (has_ended(place)) return Arrival::ended;
  // A realtime thread would keep us waiting on its CPU for as long as it likes.
  if (place.is_realtime) return Arrival::realtime;
  if (!preemptor_.may_use(cpu_)) return Arrival::not_ours;
  is_away_ = true;
  preemptor_.raise_priority();
  if (!preemptor_.go_to(cpu_)) return Arrival::not_ours;
  since_ = std::chrono::steady_clock::now();
  const auto turns = watch_.turns();
  const auto now = watch_.place();
  if (has_ended(now)) return Arrival::ended;
  if (!turns) return Arrival::uncounted;
  if (now->cpu != cpu_) return Arrival::moved;
  before_ = *turns;
  return ::sched_getcpu() == cpu_ ? Arrival::there : Arrival::not_ours;
}

bool Preemption::stood_still() const {
  if (!is_away_) return false;
  const auto now = watch_.place();
  const auto turns = watch_.turns();
  return !has_ended(now) && now->cpu == cpu_ && turns == before_ && ::sched_getcpu() == cpu_;
}

void Preemption::leave() noexcept {
  if (!is_away_) return;
  is_away_ = false;
  preemptor_.go_back(home_);
  preemptor_.lower_priority();
}

}  // namespace sampler
