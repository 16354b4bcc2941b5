#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sampler/base/ids.h"
#include "sampler/base/result.h"
#include "sampler/base/unique_fd.h"
#include "sampler/process/maps.h"

namespace sampler {

/// The facts of /proc/PID/stat that we need.
struct ProcessStat {
  std::string name;  ///< comm
  char state = '?';
  Pid parent{};
  std::uint64_t flags = 0;         ///< PF_*
  std::uint64_t start_time = 0;    ///< in clock ticks after boot
  std::uint64_t stack_start = 0;   ///< the highest address of the first thread's stack; 0 where untold
  bool is_ending = false;          ///< executes nothing of its program any more: killed, exiting or a zombie
  std::optional<int> exit_status;  ///< of a zombie, as of waitpid(2); 0 where we may not trace it
};

/// A stat text; nothing where it is not in the kernel's form.
[[nodiscard]] std::optional<ProcessStat> parse_stat(std::string_view text);

/// The stat of a process or, with `PID/task/TID`, of a thread; nothing once it is gone.
[[nodiscard]] std::optional<ProcessStat> read_stat(const std::string& pid_or_task);

/// A thread of a process that goes on: the first one while it lives. Nothing where all have ended or are
/// about to. The others have all of the process but what /proc/PID and system calls tell through the first
/// one.
[[nodiscard]] std::optional<Tid> living_thread(Pid pid);

/// Where below /proc that thread's files are, "42" or "42/task/43"; the first one's where none goes on.
[[nodiscard]] std::string living_task(Pid pid);

/// A file that a process has mapped.
struct OpenedMapping {
  UniqueFd file;
  bool is_by_name = false;  ///< found by its name and told by its inode, not through the mapping itself
};

/// A living process: a number that is used again is never mistaken for it. By pidfd where the kernel has one
/// (5.3), by its start time where not.
class Process {
 public:
  /// Throws Error{no_process} where there is none, the number is a thread's, it is a zombie or a kernel
  /// thread.
  explicit Process(Pid pid);

  [[nodiscard]] Pid pid() const noexcept { return pid_; }
  /// Readable once the process has ended; -1 where the kernel has no pidfd.
  [[nodiscard]] int pidfd() const noexcept { return pidfd_.get(); }
  /// False once it has ended, zombies included; a process whose first thread alone has ended is alive.
  [[nodiscard]] bool is_alive() const;
  /// How it has ended, as waitpid(2) has it; nothing where it lives, or the kernel does not tell us: we may
  /// not trace it, or its parent has waited for it (before Linux 6.15).
  [[nodiscard]] std::optional<int> exit_status() const;

  /// The time since it was forked, in steps of the kernel's clock tick (10 ms).
  [[nodiscard]] std::chrono::milliseconds age() const;

  /// The very file behind a mapping, also where it was deleted or replaced: never one outside the target's
  /// root.
  [[nodiscard]] Result<OpenedMapping, int> open_mapping(const FileMapping& mapping) const;
  /// Whether we may see the calls that its threads are blocked in (ThreadWatch::hides_calls()).
  [[nodiscard]] bool shows_calls() const;
  /// A file of /proc that all threads have, of one that lives.
  [[nodiscard]] std::string proc_path(std::string_view entry) const;

 private:
  Pid pid_;
  UniqueFd pidfd_;
  std::uint64_t start_time_ = 0;
};

/// Hands on the file mappings of a process as of now: none once it has ended; errno where we may not look.
[[nodiscard]] Result<void, int> visit_mappings(Pid pid, const MappingVisitor& visit);

/// Who traces a thread; Pid{0} where nobody does, nothing where there is no such thread.
[[nodiscard]] std::optional<Pid> tracer_of(Tid tid);

/// The thread of `process` that another tracer holds and that tracer; nothing where nobody traces it.
struct Tracing {
  Tid thread{};
  Pid tracer{};
};
[[nodiscard]] std::optional<Tracing> find_tracer(const Process& process);

/// All processes whose parent is `parent`, and theirs, nearest first; at most 4,096.
[[nodiscard]] std::vector<Pid> descendants(Pid parent);

}  // namespace sampler
