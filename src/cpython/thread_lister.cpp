#include "sampler/cpython/thread_lister.h"

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
    list.threads.push_back({*state, thread_number(memory, runtime, *state), false});
    state = read_as<RemoteAddress>(memory, *state + layout.thread.next.offset);
  }
  if (!state) list.is_damaged = true;
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
  if (!layout.native_thread_id.exists()) return Tid{};
  const auto tid = read_as<std::uint64_t>(memory, state + layout.native_thread_id.offset);
  return tid ? as_tid(*tid) : Tid{};
}

ThreadList list_threads(RemoteMemory& memory, const PythonRuntime& runtime) {
  ThreadList list;
  std::size_t main_begins = 0;  // new interpreters go to the list's head, so the last is the main one
  auto interpreter = read_as<RemoteAddress>(memory, runtime.interpreters_head);
  for (std::size_t i = 0; interpreter && !interpreter->is_null() && !list.is_damaged; ++i) {
    if (i >= most_interpreters) {
      list.is_damaged = true;
      break;
    }
    main_begins = list.threads.size();
    list_threads_of(memory, runtime, *interpreter, list);
    interpreter = read_as<RemoteAddress>(memory, *interpreter + runtime.layout->interpreter.next.offset);
  }
  if (!interpreter) list.is_damaged = true;
  for (auto i = main_begins; i < list.threads.size(); ++i) list.threads[i].is_of_main_interpreter = true;
  return list;
}

}  // namespace sampler
