#include "sampler/sampler/ledger.h"

namespace sampler {

Ledger::TickId Ledger::open() {
  ++counts_.asked;
  open_.emplace(next_, OpenTick{});
  return next_++;
}

void Ledger::release(TickId tick) {
  const auto entry = open_.find(tick);
  if (entry == open_.end() || --entry->second.users > 0) return;
  if (entry->second.failure) {
    ++counts_.failed.at(static_cast<std::size_t>(*entry->second.failure));
  } else {
    ++counts_.taken;
  }
  open_.erase(entry);
}

void Ledger::fail(TickId tick, TickFailure reason) {
  const auto entry = open_.find(tick);
  if (entry != open_.end() && !entry->second.failure) entry->second.failure = reason;
}

void Ledger::cancel(TickId tick) {
  if (open_.erase(tick) > 0) --counts_.asked;
}

void Ledger::add_late(std::uint64_t ticks) {
  counts_.asked += ticks;
  counts_.late += ticks;
}

void Ledger::report(RunSummary& summary) const {
  summary.asked = counts_.asked;
  summary.taken = counts_.taken;
  summary.late = counts_.late;
  summary.failed = counts_.failed;
}

}  // namespace sampler
