#include "sampler/cpython/thread_lister.h"

#include <algorithm>

#include "frame_chain.h"

namespace sampler {
namespace {

// PID_MAX_LIMIT of a 64-bit kernel: no thread has a higher number.
constexpr std::uint64_t highest_tid = 1U << 22U;

Tid as_tid(std::uint64_t number) {
  return number <= highest_tid ? Tid{static_cast<pid_t>(number)} : Tid{};
}

void list_threads_of(RemoteMemory& memory, const PythonRuntime& runtime, RemoteAddress interpreter,
                     ThreadList& list) {
  const auto& layout = *runtime.layout;
  auto state = read_as<RemoteAddress>(memory, interpreter + layout.interpreter.threads_head.offset);
  while (state && !state->is_null()) {
    const auto owner = read_as<RemoteAddress>(memory, *state + layout.thread.interpreter.offset);
    if (!owner || *owner != interpreter || list.threads.size() >= most_threads) {
      list.is_damaged = true;
      return;
    }
    list.threads.push_back({*state, thread_number(memory, runtime, *state), 0});
    state = read_as<RemoteAddress>(memory, *state + layout.thread.next.offset);
  }
  if (!state) list.is_damaged = true;
}

/// A state that is between entering and leaving an evaluation loop has a frame and yet no cframe of its own.
bool has_frame_object(RemoteMemory& memory, const Layout& layout, RemoteAddress state) {
  if (!layout.thread.frame.exists()) return false;
  const auto frame = read_as<RemoteAddress>(memory, state + layout.thread.frame.offset);
  return !frame || !frame->is_null();
}

Interpreter describe(RemoteMemory& memory, const Layout& layout, RemoteAddress state) {
  Interpreter interpreter{state, 0, {}};
  if (const auto field = layout.interpreter.id; field.exists()) {
    if (const auto id = read_as<std::uint64_t>(memory, state + field.offset)) interpreter.id = *id;
  }
  if (const auto field = layout.interpreter.gil; field.exists()) {
    if (const auto gil = read_as<RemoteAddress>(memory, state + field.offset)) interpreter.gil = *gil;
  }
  return interpreter;
}

/// Where a thread's C stack ends, and the thread.
struct StackEndOf {
  RemoteAddress pthread;
  Tid tid{};
};

/// The threads by the addresses of their struct pthread.
std::vector<StackEndOf> ends_of_c_stacks(RemoteMemory& memory, const PythonRuntime& runtime,
                                         const ThreadList& list) {
  std::vector<StackEndOf> ends;
  for (const auto& thread : list.threads) {
    const auto pthread =
        read_as<RemoteAddress>(memory, thread.state + runtime.layout->thread.thread_id.offset);
    if (pthread) ends.push_back({*pthread, thread.tid});
  }
  std::sort(ends.begin(), ends.end(),
            [](const StackEndOf& a, const StackEndOf& b) { return a.pthread < b.pthread; });
  return ends;
}

/// Which thread runs a state of a subinterpreter. _xxsubinterpreters (3.8 to 3.12) runs it on any thread,
/// while it goes on naming the thread that made it.
Tid runner_of(RemoteMemory& memory, const PythonRuntime& runtime, const std::vector<StackEndOf>& ends,
              const PythonThread& thread) {
  const auto& layout = *runtime.layout;
  switch (layout.traits.state_thread) {
    case StateThread::named:
      break;
    case StateThread::untold:
      return Tid{};
    case StateThread::by_cframe: {
      const auto cframe = cframe_of(memory, layout, thread.state);
      if (!cframe) return has_frame_object(memory, layout, thread.state) ? Tid{} : thread.tid;
      // glibc puts a thread's struct pthread above its stack, so it is the next above; above the first
      // thread's stack there is none.
      const auto owner = std::lower_bound(
          ends.begin(), ends.end(), *cframe,
          [](const StackEndOf& end, RemoteAddress address) { return end.pthread < address; });
      return owner == ends.end() ? runtime.main_thread : owner->tid;
    }
  }
  return thread.tid;
}

}  // namespace

Tid thread_number(RemoteMemory& memory, const PythonRuntime& runtime, RemoteAddress state) {
  // From glibc's struct pthread, which a fork updates: CPython's own native_thread_id is the parent's after a
  // fork.
  const auto& layout = runtime.layout->thread;
  if (runtime.tid_offset) {
    const auto pthread = read_as<std::uint64_t>(memory, state + layout.thread_id.offset);
    if (!pthread || *pthread == 0) return Tid{};
    const auto tid = read_as<std::uint32_t>(memory, RemoteAddress{*pthread} + *runtime.tid_offset);
    return tid ? as_tid(*tid) : Tid{};
  }
  return native_thread_number(memory, *runtime.layout, state);
}

Tid native_thread_number(RemoteMemory& memory, const Layout& layout, RemoteAddress state) {
  const auto field = layout.thread.native_thread_id;
  if (!field.exists()) return Tid{};
  const auto tid = read_as<std::uint64_t>(memory, state + field.offset);
  return tid ? as_tid(*tid) : Tid{};
}

bool has_frames(RemoteMemory& memory, const Layout& layout, RemoteAddress state) {
  const auto start = start_of(memory, layout, state);
  return start.innermost && !start.innermost->is_null();
}

std::optional<RemoteAddress> cframe_of(RemoteMemory& memory, const Layout& layout, RemoteAddress state) {
  const auto cframe = read_as<RemoteAddress>(memory, state + layout.thread.cframe.offset);
  // Inside the thread state itself: it does not run.
  constexpr std::uint64_t largest_state = 4096;
  if (!cframe || cframe->is_null() || cframe->value - state.value < largest_state) return std::nullopt;
  return *cframe;
}

std::vector<PythonThread> list_new_threads(RemoteMemory& memory, const PythonRuntime& runtime,
                                           const std::vector<Interpreter>& interpreters,
                                           const std::vector<PythonThread>& known) {
  constexpr std::size_t most_new = 64;
  const auto& layout = *runtime.layout;
  std::vector<PythonThread> fresh;
  for (const auto& interpreter : interpreters) {
    auto state = read_as<RemoteAddress>(memory, interpreter.state + layout.interpreter.threads_head.offset);
    while (state && !state->is_null() && fresh.size() < most_new) {
      const bool is_known = std::any_of(known.begin(), known.end(),
                                        [&](const PythonThread& thread) { return thread.state == *state; });
      if (is_known) break;
      fresh.push_back({*state, thread_number(memory, runtime, *state), interpreter.id});
      state = read_as<RemoteAddress>(memory, *state + layout.thread.next.offset);
    }
  }
  return fresh;
}

ThreadList list_threads(RemoteMemory& memory, const PythonRuntime& runtime) {
  ThreadList list;
  const auto& layout = *runtime.layout;
  std::vector<std::size_t> ends;  // of each interpreter's threads
  auto next = read_as<RemoteAddress>(memory, runtime.interpreters_head);
  while (next && !next->is_null() && !list.is_damaged) {
    if (list.interpreters.size() >= most_interpreters) {
      list.is_damaged = true;
      break;
    }
    list.interpreters.push_back(describe(memory, layout, *next));
    list_threads_of(memory, runtime, *next, list);
    const bool has_threads = list.threads.size() > (ends.empty() ? 0 : ends.back());
    list.oldest.push_back(has_threads ? list.threads.back().state : RemoteAddress{});
    ends.push_back(list.threads.size());
    next = read_as<RemoteAddress>(memory, *next + layout.interpreter.next.offset);
  }
  if (!next) list.is_damaged = true;
  if (list.is_damaged || list.interpreters.size() < 2) return list;

  // New interpreters go to the list's head, so the last is the main one: where this Python gives no ids, they
  // are counted from there.
  for (std::size_t i = 0, thread = 0; i < ends.size(); ++i) {
    auto& interpreter = list.interpreters[i];
    if (!layout.interpreter.id.exists()) interpreter.id = ends.size() - 1 - i;
    for (; thread < ends[i]; ++thread) list.threads[thread].interpreter = interpreter.id;
  }
  if (layout.traits.state_thread == StateThread::named) return list;
  const auto stack_ends = ends_of_c_stacks(memory, runtime, list);
  for (auto& thread : list.threads) {
    if (thread.interpreter != 0) thread.tid = runner_of(memory, runtime, stack_ends, thread);
  }
  return list;
}

}  // namespace sampler
