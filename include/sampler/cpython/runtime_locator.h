#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sampler/base/error.h"
#include "sampler/base/result.h"
#include "sampler/cpython/layout_catalog.h"
#include "sampler/cpython/python_runtime.h"
#include "sampler/memory/remote_memory.h"
#include "sampler/process/process.h"

namespace sampler {

/// One step on the way to a runtime, for people.
struct LocateStep {
  bool is_ok = true;  ///< it led on
  std::string what;
};

/// Finds the CPython in a process: its file among the mappings, its version, its layout in `catalog`
/// (completed from the target's own table of offsets, where it publishes one), its addresses; or why there is
/// none. Nothing of the target is run; its files are read through the mappings only. The runtime may not be
/// initialised yet. The steps are added to `steps`, where there is such a list.
[[nodiscard]] Result<PythonRuntime, Error> locate_runtime(const Process& process, RemoteMemory& memory,
                                                          const LayoutCatalog& catalog,
                                                          std::vector<LocateStep>* steps = nullptr);

/// Whether the process's program is called like a Python, whatever it has mapped so far.
[[nodiscard]] bool has_python_program(const Process& process);

/// Whether the runtime is ending: what its interpreters still run are the last finalizers.
[[nodiscard]] bool is_finalizing(RemoteMemory& memory, const PythonRuntime& runtime);

/// Whether the runtime has made its interpreter, first thread and GIL. Fills in what can only be known then.
[[nodiscard]] bool is_initialised(RemoteMemory& memory, PythonRuntime& runtime);

/// Where glibc's struct pthread keeps the kernel's number of the thread, as glibc itself publishes for
/// debuggers; nothing where the process has no glibc (yet: the loader maps an interpreter's library before
/// it).
[[nodiscard]] std::optional<std::uint32_t> find_tid_offset(const Process& process);

/// Descendants of a process that have a Python's files mapped: what a launcher or a shell has started.
[[nodiscard]] std::vector<Pid> python_descendants(Pid parent);

/// The address that PyInterpreterState_Head of 2.7 and 3.6 loads, from its machine code at `function`:
/// [endbr64] mov rax, [rip + disp32]; ret. Nothing where the code is another.
[[nodiscard]] std::optional<std::uint64_t> loaded_address(std::span<const std::byte> code,
                                                          std::uint64_t function);

}  // namespace sampler
