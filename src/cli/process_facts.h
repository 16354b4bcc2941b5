#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "sampler/base/ids.h"
#include "sampler/process/process.h"
#include "sampler/process/process_status.h"

namespace sampler {

/// What a program's file is made for, by its ELF header.
enum class ProgramKind { x86_64, bits_32, other };

/// What /proc tells of a living process before its memory is asked for.
struct ProcessFacts {
  Pid pid{};
  ProcessStat stat;
  ProcessStatus status;
  bool is_undumpable = false;          ///< it has made itself so, or has more rights than who started it
  std::optional<bool> shares_mounts;   ///< its mount namespace is ours; nothing where we may not know
  std::optional<bool> shares_users;    ///< so is its user namespace
  std::optional<std::string> program;  ///< its file's path; nothing where we may not know
  std::optional<ProgramKind> kind;     ///< nothing where we may not read its file
  bool shows_calls = true;             ///< what its threads are blocked in is not closed to us
};

/// The process is there, but /proc does not show it to us (hidepid).
[[nodiscard]] bool is_hidden(Pid pid);

/// The kind of a file that starts with these bytes.
[[nodiscard]] ProgramKind program_kind(std::string_view start) noexcept;

/// The facts as of now; nothing where the process has ended.
[[nodiscard]] std::optional<ProcessFacts> process_facts(const Process& process);

}  // namespace sampler
