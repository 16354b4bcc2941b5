#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sampler/base/error.h"
#include "sampler/base/remote_address.h"
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

/// A CPython that a process may have: its file is loaded, but it need not be initialised.
struct RuntimeCandidate {
  PythonRuntime runtime;
  std::string path;  ///< of its file
};

/// The CPythons of a process.
struct LocatedRuntimes {
  std::vector<RuntimeCandidate> candidates;  ///< the likeliest first
  std::optional<Error> error;                ///< why there is none, or why another cannot be sampled
  std::optional<std::uint32_t> tid_offset;   ///< as find_tid_offset(), where there are candidates
  std::vector<RemoteAddress> texts;          ///< where may_be_interpreter() mappings start, ascending
  bool is_settled = true;                    ///< false while the loader is at work: more is told in a moment
};

/// Finds the CPythons in a process: their files among the mappings, their versions, their layouts in
/// `catalog` (completed from the target's own tables of offsets, where it publishes them), their addresses;
/// or why there is none. Nothing of the target is run; its files are read through the mappings only. The
/// steps are added to `steps`, where there is such a list.
[[nodiscard]] LocatedRuntimes locate_runtimes(const Process& process, RemoteMemory& memory,
                                              const LayoutCatalog& catalog,
                                              std::vector<LocateStep>* steps = nullptr);

/// Whether a mapping is of code in a file that is called like a Python: a new one is worth a new search.
[[nodiscard]] bool may_be_interpreter(const FileMapping& mapping);

/// Whether the process's program is called like a Python, whatever it has mapped so far.
[[nodiscard]] bool has_python_program(const Process& process);

/// Where glibc's struct pthread keeps the kernel's number of the thread, as glibc itself publishes for
/// debuggers; nothing where the process has no glibc (yet: the loader maps an interpreter's library before
/// it).
[[nodiscard]] std::optional<std::uint32_t> find_tid_offset(const Process& process);

/// Descendants of a process that have a Python's files mapped: what a launcher or a shell has started.
[[nodiscard]] std::vector<Pid> python_descendants(Pid parent);

}  // namespace sampler
