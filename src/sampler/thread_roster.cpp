#include "sampler/sampler/thread_roster.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "sampler/cpython/c_stack.h"
#include "sampler/process/process.h"
#include "sampler/process/thread_watch.h"

namespace sampler {
namespace {

/// Where the kernel put the stack of the thread that executed the program.
std::optional<AddressRange> first_stack(Pid pid) {
  // The kernel keeps at least so much of the addresses below its start free for it (MIN_GAP).
  constexpr std::uint64_t most = std::uint64_t{128} << 20U;
  const auto stat = read_stat(living_task(pid));
  if (!stat || stat->stack_start <= most) return std::nullopt;
  return AddressRange{RemoteAddress{stat->stack_start - most}, RemoteAddress{stat->stack_start}};
}

}  // namespace

const PythonThread* find_thread(const std::vector<PythonThread>& threads, RemoteAddress state) {
  const auto found = std::find_if(threads.begin(), threads.end(),
                                  [&](const PythonThread& thread) { return thread.state == state; });
  return found == threads.end() ? nullptr : &*found;
}

ThreadRoster::ThreadRoster(Pid pid, const PythonRuntime& runtime)
    : runtime_{runtime}, pid_{pid}, numbers_{pid}, tasks_{pid}, first_stack_{first_stack(pid)} {}

bool ThreadRoster::update(RemoteMemory& memory, const std::function<bool(RemoteAddress)>& may_run) {
  auto all = list_threads(memory, runtime_);
  if (all.is_damaged) return false;
  // A state that is being made in the memory of one that has gone ends a list too early.
  const bool may_be_cut = oldest_ != all.oldest;
  oldest_ = std::move(all.oldest);
  if (may_be_cut) return false;
  has_other_interpreters_ = interpreters_ != all.interpreters;
  interpreters_ = std::move(all.interpreters);
  tasks_.look();
  threads_ = those_that_exist(memory, std::move(all.threads), may_run);
  return true;
}

Tid ThreadRoster::living(Tid inner) {
  const auto ours = numbers_.ours(InnerTid{number(inner)});
  return tasks_.has(ours) ? ours : Tid{};
}

std::vector<PythonThread> ThreadRoster::those_that_exist(RemoteMemory& memory,
                                                         std::vector<PythonThread> listed,
                                                         const std::function<bool(RemoteAddress)>& may_run) {
  std::vector<PythonThread> stale;
  for (auto& thread : listed) {
    const bool names_one = thread.tid != Tid{};
    thread.tid = living(thread.tid);
    if (names_one && thread.tid == Tid{}) stale.push_back(thread);
  }
  const Tid first{number(pid_)};
  const auto is_first = [&](const PythonThread& thread) { return thread.tid == first; };
  const bool may_be_renumbered =
      !stale.empty() && tasks_.has(first) && std::none_of(listed.begin(), listed.end(), is_first);
  renumbered_ = may_be_renumbered ? find_renumbered(memory, stale, may_run) : RemoteAddress{};
  std::vector<RemoteAddress> nobodys;
  for (const auto& thread : stale) {
    if (!is_renumbered(thread)) nobodys.push_back(thread.state);
  }
  for (auto& thread : listed) {
    if (is_renumbered(thread)) thread.tid = first;
  }
  find_reused(memory, listed, nobodys);
  std::vector<RemoteAddress> missing;
  std::erase_if(listed, [&](const PythonThread& thread) {
    const bool is_nobodys = std::find(nobodys.begin(), nobodys.end(), thread.state) != nobodys.end();
    const bool may_be_anybodys =
        is_unplaced(thread) && runtime_.layout->traits.state_thread != StateThread::named;
    if (!is_nobodys && (thread.tid != Tid{} || may_be_anybodys)) return false;
    if (has_frames(memory, *runtime_.layout, thread.state)) missing.push_back(thread.state);
    return true;
  });
  count_left_out(std::move(missing));
  return listed;
}

RemoteAddress ThreadRoster::find_renumbered(RemoteMemory& memory, const std::vector<PythonThread>& stale,
                                            const std::function<bool(RemoteAddress)>& may_run) const {
  const ThreadWatch watch{pid_, Tid{number(pid_)}};
  const auto pointer = runtime_.tid_offset ? watch.stack_pointer() : std::nullopt;
  if (pointer) {
    const auto its = std::find_if(stale.begin(), stale.end(), [&](const PythonThread& thread) {
      const auto pthread =
          read_as<RemoteAddress>(memory, thread.state + runtime_.layout->thread.thread_id.offset);
      const auto stack = pthread ? c_stack_of(memory, thread, *pthread) : std::nullopt;
      return stack && stack->contains(*pointer);
    });
    return its == stale.end() ? RemoteAddress{} : its->state;
  }
  if (find_thread(stale, renumbered_) != nullptr) return renumbered_;
  // The threads of the others are those of the parent: none of them can have taken the GIL here.
  RemoteAddress runs;
  for (const auto& thread : stale) {
    if (!may_run(thread.state)) continue;
    if (!runs.is_null()) return {};
    runs = thread.state;
  }
  return runs;
}

void ThreadRoster::find_reused(RemoteMemory& memory, const std::vector<PythonThread>& listed,
                               std::vector<RemoteAddress>& nobodys) {
  // Where the state's own number is all there is, it names nobody else.
  const auto& layout = *runtime_.layout;
  if (!runtime_.tid_offset || !layout.thread.native_thread_id.exists()) return;
  std::vector<std::pair<std::uint64_t, pid_t>> named;  // in which interpreter, which thread
  for (const auto& thread : listed) {
    if (thread.tid != Tid{}) named.emplace_back(thread.interpreter, number(thread.tid));
  }
  std::sort(named.begin(), named.end());
  for (auto again = std::adjacent_find(named.begin(), named.end()); again != named.end();
       again = std::adjacent_find(std::upper_bound(again, named.end(), *again), named.end())) {
    std::vector<RemoteAddress> others;
    bool has_own = false;
    for (const auto& thread : listed) {
      if (std::pair{thread.interpreter, number(thread.tid)} != *again) continue;
      const auto own = numbers_.ours(InnerTid{number(native_thread_number(memory, layout, thread.state))});
      if (own == thread.tid) {
        has_own = true;
      } else {
        others.push_back(thread.state);
      }
    }
    if (has_own) nobodys.insert(nobodys.end(), others.begin(), others.end());
  }
}

void ThreadRoster::count_left_out(std::vector<RemoteAddress> missing) {
  // A thread that ends between two looks may be missing for once.
  left_out_ =
      static_cast<std::size_t>(std::count_if(missing.begin(), missing.end(), [&](RemoteAddress state) {
        return !missing_ || std::find(missing_->begin(), missing_->end(), state) != missing_->end();
      }));
  missing_ = std::move(missing);
}

bool ThreadRoster::has_all_threads() const {
  std::unordered_set<pid_t> tids;
  for (const auto& thread : threads_) {
    if (thread.tid != Tid{}) tids.insert(number(thread.tid));
  }
  return tids.size() == tasks_.size();
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
  if (is_renumbered(thread)) return living(thread_number(memory, runtime_, thread.state)) != Tid{};
  return numbers_.ours(InnerTid{number(thread_number(memory, runtime_, thread.state))}) != thread.tid;
}

std::optional<AddressRange> ThreadRoster::c_stack_of(RemoteMemory& memory, const PythonThread& thread,
                                                     RemoteAddress pthread) const {
  if (runtime_.tid_offset) return find_c_stack(memory, pthread, first_stack_);
  return thread.tid == Tid{number(pid_)} ? first_stack_ : std::nullopt;
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
