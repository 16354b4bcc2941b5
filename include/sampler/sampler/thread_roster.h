#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <unordered_map>
#include <vector>

#include "sampler/base/ids.h"
#include "sampler/cpython/python_runtime.h"
#include "sampler/cpython/thread_lister.h"
#include "sampler/memory/remote_memory.h"
#include "sampler/process/task_list.h"
#include "sampler/process/thread_numbers.h"

namespace sampler {

/// A subinterpreter's state that nothing tells the thread of: it may run on any. A main interpreter's has not
/// begun to run.
[[nodiscard]] inline bool is_unplaced(const PythonThread& thread) noexcept {
  return thread.tid == Tid{} && thread.interpreter != 0;
}

/// The thread with this state; null where there is none.
[[nodiscard]] const PythonThread* find_thread(const std::vector<PythonThread>& threads, RemoteAddress state);

/// Of more threads than this nothing is kept, while these live: those that have ended are looked for then.
[[nodiscard]] inline std::size_t most_kept(const std::vector<PythonThread>& threads) noexcept {
  return 2 * threads.size() + 64;
}

/// Forgets what is kept by thread state of other threads than these, once it is more than most_kept().
template <class T>
void forget_ended(std::unordered_map<std::uint64_t, T>& by_state, const std::vector<PythonThread>& threads) {
  if (by_state.size() <= most_kept(threads)) return;
  std::erase_if(by_state, [&](const auto& entry) { return find_thread(threads, {entry.first}) == nullptr; });
}

/// The interpreters and thread states of one process, as they were listed last, with our numbers for the
/// threads.
class ThreadRoster {
 public:
  ThreadRoster(Pid pid, const PythonRuntime& runtime);

  /// Another tick: the process's threads may be looked for once more.
  void begin_tick() noexcept { numbers_.begin_tick(); }
  /// Lists them anew, but for the states of threads that the process does not have. False where the list is
  /// damaged or may be cut short: it stays as it was. `may_run` tells whether a state holds its GIL, or held
  /// it last.
  [[nodiscard]] bool update(RemoteMemory& memory, const std::function<bool(RemoteAddress)>& may_run);
  /// How many states with frames are left out, because the process does not have their threads: those have
  /// ended, or are of a parent whose fork CPython was not told of.
  [[nodiscard]] std::size_t left_out() const noexcept { return left_out_; }
  /// Whether a thread's number is not the one that its state names: a fork that glibc was not told of left
  /// that of the parent's.
  [[nodiscard]] bool is_renumbered(const PythonThread& thread) const noexcept {
    return thread.state == renumbered_ && !thread.state.is_null();
  }
  /// Whether each of the process's threads has a state.
  [[nodiscard]] bool has_all_threads() const;
  /// Whether the last update that was true found other interpreters than there were before it.
  [[nodiscard]] bool has_other_interpreters() const noexcept { return has_other_interpreters_; }

  /// As listed last, the newest first.
  [[nodiscard]] const std::vector<Interpreter>& interpreters() const noexcept { return interpreters_; }
  /// One for each thread state.
  [[nodiscard]] const std::vector<PythonThread>& threads() const noexcept { return threads_; }
  /// There are no subinterpreters.
  [[nodiscard]] bool is_single() const noexcept { return interpreters_.size() < 2; }
  /// Thread states of subinterpreters may run on any thread.
  [[nodiscard]] bool has_moving_states() const noexcept;
  /// Whether the newest interpreter is still the one that was listed so.
  [[nodiscard]] bool is_newest_interpreter(RemoteMemory& memory) const;

  /// Whether a thread is still listed.
  [[nodiscard]] bool has(const PythonThread& thread) const;
  /// The thread states that were made since the last update.
  [[nodiscard]] std::vector<PythonThread> list_new(RemoteMemory& memory);
  /// The thread state names another thread by now.
  [[nodiscard]] bool names_another(RemoteMemory& memory, const PythonThread& thread);
  /// Where the stack of a thread with this struct pthread is, however much of it is in use; nothing where
  /// nobody can tell.
  [[nodiscard]] std::optional<AddressRange> c_stack_of(RemoteMemory& memory, const PythonThread& thread,
                                                       RemoteAddress pthread) const;
  /// The thread's struct pthread, as its state in the main interpreter has it.
  [[nodiscard]] std::optional<RemoteAddress> pthread_of(RemoteMemory& memory,
                                                        const PythonThread& thread) const;

 private:
  /// Our number of the thread that has this one in the target's PID namespace; none where no thread has it.
  [[nodiscard]] Tid living(Tid inner);
  /// Leaves out the states of threads that the process does not have.
  [[nodiscard]] std::vector<PythonThread> those_that_exist(RemoteMemory& memory,
                                                           std::vector<PythonThread> listed,
                                                           const std::function<bool(RemoteAddress)>& may_run);
  /// After a fork that glibc was not told of, the process's first thread goes by its parent's number. Finds
  /// its state among those that name nobody: by the place of its C stack, or, while it runs, by the GIL.
  [[nodiscard]] RemoteAddress find_renumbered(RemoteMemory& memory, const std::vector<PythonThread>& stale,
                                              const std::function<bool(RemoteAddress)>& may_run) const;
  /// A state whose thread has ended names the thread that has got its struct pthread. Of several states that
  /// name one thread, those with another number of their own are nobody's: adds them.
  void find_reused(RemoteMemory& memory, const std::vector<PythonThread>& listed,
                   std::vector<RemoteAddress>& nobodys);
  void count_left_out(std::vector<RemoteAddress> missing);

  const PythonRuntime& runtime_;
  Pid pid_;
  ThreadNumbers numbers_;
  TaskList tasks_;
  std::optional<AddressRange>
      first_stack_;           ///< where the kernel put the first thread's; nothing where untold
  RemoteAddress renumbered_;  ///< the state whose thread is the process's first, by another number
  std::optional<std::vector<RemoteAddress>> missing_;  ///< states with frames that the last update left out
  std::size_t left_out_ = 0;
  std::vector<Interpreter> interpreters_;
  std::vector<PythonThread> threads_;
  std::vector<RemoteAddress> oldest_;  ///< of each interpreter
  bool has_other_interpreters_ = false;
};

}  // namespace sampler
