#include "sampler/process/thread_watches.h"

namespace sampler {

ThreadWatch& ThreadWatches::of(Tid tid) {
  return watches_.try_emplace(number(tid), pid_, tid).first->second;
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

bool ThreadWatches::is_process_ending() {
  const Tid first{number(pid_)};
  const auto state = state_of(first);
  if (!state && of(first).lacks_files()) return false;
  return !state || *state == 'Z' || *state == 'X';
}

void ThreadWatches::keep_only(const std::unordered_set<pid_t>& tids) {
  std::erase_if(watches_, [&](const auto& entry) { return !tids.contains(entry.first); });
}

}  // namespace sampler
