#include "sampler/sampler/thread_roster.h"

#include <algorithm>
#include <utility>

namespace sampler {

const PythonThread* find_thread(const std::vector<PythonThread>& threads, RemoteAddress state) {
  const auto found = std::find_if(threads.begin(), threads.end(),
                                  [&](const PythonThread& thread) { return thread.state == state; });
  return found == threads.end() ? nullptr : &*found;
}

ThreadRoster::ThreadRoster(Pid pid, const PythonRuntime& runtime) : runtime_{runtime}, numbers_{pid} {}

bool ThreadRoster::update(RemoteMemory& memory) {
  auto all = list_threads(memory, runtime_);
  for (auto& thread : all.threads) thread.tid = numbers_.ours(InnerTid{number(thread.tid)});
  if (all.is_damaged) return false;
  // A state that is being made in the memory of one that has gone ends a list too early.
  const bool may_be_cut = oldest_ != all.oldest;
  oldest_ = std::move(all.oldest);
  if (may_be_cut) return false;
  has_other_interpreters_ = interpreters_ != all.interpreters;
  interpreters_ = std::move(all.interpreters);
  threads_ = std::move(all.threads);
  return true;
}

bool ThreadRoster::has_moving_states() const noexcept {
  return !is_single() && runtime_.layout->traits.state_thread == StateThread::untold;
}

bool ThreadRoster::is_newest_interpreter(RemoteMemory& memory) const {
  const auto head = read_as<RemoteAddress>(memory, runtime_.interpreters_head);
  return head && !interpreters_.empty() && *head == interpreters_.front().state;
}

bool ThreadRoster::has(const PythonThread& thread) const {
  return std::any_of(threads_.begin(), threads_.end(), [&](const PythonThread& other) {
    return is_single() ? other == thread : other.tid == thread.tid;
  });
}

std::vector<PythonThread> ThreadRoster::list_new(RemoteMemory& memory) {
  auto fresh = list_new_threads(memory, runtime_, interpreters_, threads_);
  for (auto& thread : fresh) thread.tid = numbers_.ours(InnerTid{number(thread.tid)});
  return fresh;
}

bool ThreadRoster::names_another(RemoteMemory& memory, const PythonThread& thread) {
  return numbers_.ours(InnerTid{number(thread_number(memory, runtime_, thread.state))}) != thread.tid;
}

std::optional<RemoteAddress> ThreadRoster::pthread_of(RemoteMemory& memory,
                                                      const PythonThread& thread) const {
  // The state of a subinterpreter may name another thread.
  const auto own = std::find_if(threads_.begin(), threads_.end(), [&](const PythonThread& other) {
    return other.tid == thread.tid && other.interpreter == 0;
  });
  const auto state = own == threads_.end() ? thread.state : own->state;
  const auto pthread = read_as<RemoteAddress>(memory, state + runtime_.layout->thread.thread_id.offset);
  return pthread ? std::optional{*pthread} : std::nullopt;
}

}  // namespace sampler
