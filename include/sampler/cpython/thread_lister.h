#pragma once

#include <cstdint>
#include <vector>

#include "sampler/base/ids.h"
#include "sampler/cpython/python_runtime.h"
#include "sampler/memory/remote_memory.h"

namespace sampler {

/// One of the interpreter's thread states and the kernel thread it belongs to.
struct PythonThread {
  RemoteAddress state;
  Tid tid{};  ///< 0 where it cannot be told
  bool is_of_main_interpreter = true;

  friend bool operator==(const PythonThread&, const PythonThread&) = default;
};

/// The thread states of all interpreters. Threads made in C add and remove theirs without the GIL, so the
/// list is hostile data: it may be read half changed.
struct ThreadList {
  std::vector<PythonThread> threads;
  bool is_damaged = false;  ///< the list led nowhere, to a foreign interpreter, or on for ever
};

/// At most this many thread states and interpreters are followed.
inline constexpr std::size_t most_threads = 16384;
inline constexpr std::size_t most_interpreters = 1024;

/// The kernel's number of the thread that a thread state belongs to; 0 where it cannot be told.
[[nodiscard]] Tid thread_number(RemoteMemory& memory, const PythonRuntime& runtime,
                                RemoteAddress thread_state);

[[nodiscard]] ThreadList list_threads(RemoteMemory& memory, const PythonRuntime& runtime);

}  // namespace sampler
