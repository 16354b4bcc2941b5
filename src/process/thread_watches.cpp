#include "sampler/process/thread_watches.h"

#include <algorithm>
#include <utility>

#include "sampler/process/process.h"

namespace sampler {

ThreadWatch& ThreadWatches::of(Tid tid) {
  const auto known = watches_.find(number(tid));
  if (known != watches_.end()) {
    uses_.splice(uses_.begin(), uses_, known->second.use);
    return known->second.watch;
  }
  ThreadWatch watch{pid_, tid};
  while (watch.lacks_files() && forget_oldest()) watch = ThreadWatch{pid_, tid};
  uses_.push_front(number(tid));
  return watches_.try_emplace(number(tid), Kept{std::move(watch), uses_.begin()}).first->second.watch;
}

bool ThreadWatches::forget_oldest() {
  const auto kept = std::max<std::size_t>(uses_.size() / 2, 1);
  if (uses_.size() <= kept) return false;
  while (uses_.size() > kept) {
    watches_.erase(uses_.back());
    uses_.pop_back();
  }
  return true;
}

void ThreadWatches::forget(Tid tid) {
  const auto known = watches_.find(number(tid));
  if (known == watches_.end()) return;
  uses_.erase(known->second.use);
  watches_.erase(known);
}

std::optional<ThreadPlace> ThreadWatches::place_of(Tid tid) {
  if (const auto place = of(tid).place()) return place;
  // The number may belong to another thread by now than the one whose files are open.
  forget(tid);
  return of(tid).place();
}

std::optional<char> ThreadWatches::state_of(Tid tid) {
  const auto place = place_of(tid);
  return place ? std::optional{place->state} : std::nullopt;
}

bool ThreadWatches::has_stood_still(Tid tid, const std::optional<Turns>& before) {
  // It may have been on its way to block, and been woken before it was off its CPU: then it runs on without a
  // new turn.
  return before && state_of(tid) != 'R' && of(tid).turns() == before;
}

bool ThreadWatches::has_waited(Tid tid, const std::optional<Turns>& before, const OwnTurn& ours) {
  if (!before) return false;
  const auto place = of(tid).place();
  if (!place || place->state == 'Z' || place->state == 'X' || place->cpu != ours.cpu()) return false;
  return of(tid).turns() == before && ours.lasts();
}

bool ThreadWatches::is_process_ending() {
  const Tid first{number(pid_)};
  const auto state = state_of(first);
  if (!state && of(first).lacks_files()) return false;
  const bool has_first_ended = !state || *state == 'Z' || *state == 'X';
  return has_first_ended && !living_thread(pid_);
}

void ThreadWatches::keep_only(const std::unordered_set<pid_t>& tids) {
  std::erase_if(uses_, [&](pid_t tid) { return !tids.contains(tid) && watches_.erase(tid) > 0; });
}

}  // namespace sampler
