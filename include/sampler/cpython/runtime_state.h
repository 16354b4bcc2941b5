#pragma once

#include "sampler/cpython/python_runtime.h"
#include "sampler/memory/remote_memory.h"

namespace sampler {

/// Whether the runtime is ending: what its interpreters still run are the last finalizers.
[[nodiscard]] bool is_finalizing(RemoteMemory& memory, const PythonRuntime& runtime);

/// Whether the runtime proves that it is one and that it has made its types, interpreter, first thread and
/// GIL. Fills in what can only be known then.
[[nodiscard]] bool is_initialised(RemoteMemory& memory, PythonRuntime& runtime);

}  // namespace sampler
