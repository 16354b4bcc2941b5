#include "sampler/process/realtime_budget.h"

#include <sched.h>

#include <algorithm>
#include <utility>

#include "sampler/process/scheduling.h"

namespace sampler {

RealtimeBudget::RealtimeBudget() : policy_{::sched_getscheduler(0)} {
  begin();
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

void RealtimeBudget::spend(Duration worked, Duration passed) noexcept {
  left_ = std::max(std::min(left_ + passed / share, most) - worked, Duration{-1});
  if (left_ < Duration{0}) {
    give_up();
  } else if (!is_realtime_ && left_ >= most / 2) {
    begin();
  }
}

}  // namespace sampler
