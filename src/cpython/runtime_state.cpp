#include "sampler/cpython/runtime_state.h"

#include <cstdint>

#include "sampler/cpython/thread_lister.h"

namespace sampler {
namespace {

/// The main interpreter: the first made, so the last of the list. Null while there is none.
RemoteAddress main_interpreter(RemoteMemory& memory, RemoteAddress head, const Layout& layout) {
  auto next = read_as<RemoteAddress>(memory, head);
  RemoteAddress last;
  for (std::size_t i = 0; i < most_interpreters && next && !next->is_null(); ++i) {
    last = *next;
    next = read_as<RemoteAddress>(memory, last + layout.interpreter.next.offset);
  }
  return last;
}

/// An interpreter's newest thread state, which names the interpreter; null where there is none such.
RemoteAddress newest_thread(RemoteMemory& memory, RemoteAddress interpreter, const Layout& layout) {
  const auto thread = read_as<RemoteAddress>(memory, interpreter + layout.interpreter.threads_head.offset);
  if (!thread || thread->is_null()) return {};
  const auto owner = read_as<RemoteAddress>(memory, *thread + layout.thread.interpreter.offset);
  return owner && *owner == interpreter ? *thread : RemoteAddress{};
}

/// Whether there is a type at an address that CPython has made ready: its type is its own type.
bool is_ready_type(RemoteMemory& memory, RemoteAddress object, const Layout& layout) {
  // The same in every version: behind ob_size the 18 words from tp_name to tp_as_buffer, then tp_flags.
  constexpr std::uint32_t flags_behind_size = 19 * 8;
  constexpr std::uint64_t ready = 1U << 12U;  // Py_TPFLAGS_READY
  const auto type = read_as<RemoteAddress>(memory, object + layout.object.type.offset);
  if (!type || type->is_null()) return false;
  const auto type_of_type = read_as<RemoteAddress>(memory, *type + layout.object.type.offset);
  if (!type_of_type || *type_of_type != *type) return false;
  const auto flags =
      read_as<std::uint64_t>(memory, object + layout.object.var_size.offset + flags_behind_size);
  return flags && (*flags & ready) != 0;
}

}  // namespace

bool is_finalizing(RemoteMemory& memory, const PythonRuntime& runtime) {
  if (runtime.finalizing.is_null()) return false;
  const auto thread = read_as<RemoteAddress>(memory, runtime.finalizing);
  return thread && !thread->is_null();
}

bool is_initialised(RemoteMemory& memory, PythonRuntime& runtime) {
  const auto& layout = *runtime.layout;
  const auto interpreter = main_interpreter(memory, runtime.interpreters_head, layout);
  if (interpreter.is_null() || newest_thread(memory, interpreter, layout).is_null()) return false;
  if (!is_ready_type(memory, runtime.code_type, layout)) return false;
  if (layout.interpreter.gil.exists()) {
    const auto state = read_as<RemoteAddress>(memory, interpreter + layout.interpreter.gil.offset);
    if (!state || state->is_null()) return false;
    runtime.gil.state = *state;
  }
  if (runtime.gil.state.is_null()) return true;  // no GIL, or an older one, made at any later time
  const auto locked = read_as<std::int32_t>(memory, runtime.gil.state + layout.gil.locked.offset);
  return locked && *locked >= 0;  // -1: not made yet
}

}  // namespace sampler
