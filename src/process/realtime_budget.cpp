#include "sampler/process/realtime_budget.h"

#include <sched.h>

#include <algorithm>
#include <utility>

#include "sampler/process/scheduling.h"

namespace sampler {

RealtimeBudget::RealtimeBudget(bool is_wanted) : policy_{::sched_getscheduler(0)}, is_wanted_{is_wanted} {
  if (is_wanted_) begin();
}

RealtimeBudget::~RealtimeBudget() {
  give_up();
}

void RealtimeBudget::begin() noexcept {
  is_realtime_ = become_realtime();
}

void RealtimeBudget::give_up() noexcept {
  if (!std::exchange(is_realtime_, false)) return;
  const sched_param none{};
  ::sched_setscheduler(0, policy_, &none);
  ask_to_be_prompt();  // the kernel forgets the time slice with the policy
}

void RealtimeBudget::want(bool is_wanted) noexcept {
  if (is_wanted == std::exchange(is_wanted_, is_wanted)) return;
  if (!is_wanted_) {
    give_up();
  } else if (left_ >= most / 2) {
    begin();
  }
}

void RealtimeBudget::spend(Duration worked, Duration passed) noexcept {
  left_ = std::max(std::min(left_ + passed / share, most) - worked, Duration{-1});
  if (left_ < Duration{0}) {
    give_up();
  } else if (is_wanted_ && !is_realtime_ && left_ >= most / 2) {
    begin();
  }
}

}  // namespace sampler
