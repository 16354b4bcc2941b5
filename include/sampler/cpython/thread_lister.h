#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "sampler/base/ids.h"
#include "sampler/cpython/python_runtime.h"
#include "sampler/memory/remote_memory.h"

namespace sampler {

/// One thread state and the kernel thread that runs it. A kernel thread has one for each interpreter that it
/// is or was inside of.
struct PythonThread {
  RemoteAddress state;
  Tid tid{};                      ///< as the target knows it; 0 where it cannot be told
  std::uint64_t interpreter = 0;  ///< its id: 0 is the main one

  friend bool operator==(const PythonThread&, const PythonThread&) = default;
};

struct Interpreter {
  RemoteAddress state;
  std::uint64_t id = 0;
  RemoteAddress gil;  ///< the struct of its GIL; null where this Python has one for all, or none

  friend bool operator==(const Interpreter&, const Interpreter&) = default;
};

/// The interpreters and their thread states. Threads made in C add and remove theirs without the GIL, so the
/// list is hostile data: it may be read half changed.
struct ThreadList {
  std::vector<Interpreter> interpreters;
  std::vector<PythonThread> threads;
  std::vector<RemoteAddress> oldest;  ///< the state that each interpreter's threads end with
  bool is_damaged = false;            ///< the list led nowhere, to a foreign interpreter, or on for ever
};

/// At most this many thread states and interpreters are followed.
inline constexpr std::size_t most_threads = 16384;
inline constexpr std::size_t most_interpreters = 1024;

/// The number of the thread that a thread state names, in the target's PID namespace; 0 where it cannot be
/// told.
[[nodiscard]] Tid thread_number(RemoteMemory& memory, const PythonRuntime& runtime,
                                RemoteAddress thread_state);

/// The number that the thread state itself has (3.11 on), after a fork its parent's; 0 where it has none or
/// it cannot be read.
[[nodiscard]] Tid native_thread_number(RemoteMemory& memory, const Layout& layout,
                                       RemoteAddress thread_state);

/// Whether a thread state has a frame. False where it cannot be read.
[[nodiscard]] bool has_frames(RemoteMemory& memory, const Layout& layout, RemoteAddress thread_state);

/// The cframe of a running thread state, which lies on the C stack of the thread that runs it; nothing where
/// the state does not run. For layouts with thread.cframe only.
[[nodiscard]] std::optional<RemoteAddress> cframe_of(RemoteMemory& memory, const Layout& layout,
                                                     RemoteAddress thread_state);

/// The thread states that were added since a list was made: they are at the heads. A few at most.
[[nodiscard]] std::vector<PythonThread> list_new_threads(RemoteMemory& memory, const PythonRuntime& runtime,
                                                         const std::vector<Interpreter>& interpreters,
                                                         const std::vector<PythonThread>& known);

[[nodiscard]] ThreadList list_threads(RemoteMemory& memory, const PythonRuntime& runtime);

}  // namespace sampler
