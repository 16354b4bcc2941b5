#include "sampler/process/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <ctime>

#include "process/proc_files.h"
#include "process/root_directory.h"
#include "sampler/base/error.h"
#include "sampler/base/file.h"
#include "sampler/process/process_status.h"

namespace sampler {
namespace {

constexpr std::uint64_t kernel_thread_flag = 0x00200000;  // PF_KTHREAD, include/linux/sched.h
constexpr std::uint64_t exiting_flag = 0x00000004;        // PF_EXITING

bool has_ended(const ProcessStat& stat) {
  return stat.state == 'Z' || stat.state == 'X';
}

/// Where /proc has other numbers for processes than our system calls, we would read and stop another process
/// than the one whose files we see.
void require_own_proc(Pid pid) {
  const auto self = read_link("/proc/self");
  if (self && *self == std::to_string(::getpid())) return;
  throw Error{
      ErrorKind::permission,
      fmt::format("cannot trace process {}: /proc is {}", number(pid),
                  self || ::access("/proc/version", F_OK) == 0 ? "of another PID namespace than sampler"
                                                               : "not mounted"),
      "mount it: mount -t proc proc /proc (unshare has the option --mount-proc)"};
}

/// pidfd_info of include/uapi/linux/pidfd.h, which Debian 12 does not have.
struct PidfdInfo {
  std::uint64_t mask;
  std::uint64_t cgroup;
  std::array<std::uint32_t, 11> ids;
  std::int32_t exit_status;
};

/// Of a process that its parent has waited for; nothing before Linux 6.15, and of any other.
std::optional<int> reaped_status(int pidfd) {
  constexpr std::uint64_t exit_is_told = 1U << 3U;  // PIDFD_INFO_EXIT
  PidfdInfo info{};
  info.mask = exit_is_told;
  if (::ioctl(pidfd, _IOWR(0xFF, 11, PidfdInfo), &info) != 0) return std::nullopt;  // PIDFD_GET_INFO
  if ((info.mask & exit_is_told) == 0) return std::nullopt;
  return info.exit_status;
}

}  // namespace

std::optional<ProcessStat> parse_stat(std::string_view text) {
  // "pid (comm) S ppid ...": comm may itself hold spaces and parentheses, so the last ')' ends it.
  const auto open = text.find('(');
  const auto close = text.rfind(')');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open) return std::nullopt;
  ProcessStat stat;
  stat.name = text.substr(open + 1, close - open - 1);
  std::vector<std::string_view> fields;
  auto rest = text.substr(close + 1);
  while (!rest.empty()) {
    rest.remove_prefix(std::min(rest.find_first_not_of(" \n"), rest.size()));
    const auto end = std::min(rest.find_first_of(" \n"), rest.size());
    if (end > 0) fields.push_back(rest.substr(0, end));
    rest.remove_prefix(end);
  }
  // proc(5) counts from 1 and pid and comm come before: field n is fields[n - 3].
  if (fields.size() < 20) return std::nullopt;
  stat.state = fields[0].front();
  stat.parent = Pid{to_number<pid_t>(fields[1]).value_or(0)};
  stat.flags = to_number<std::uint64_t>(fields[6]).value_or(0);
  stat.start_time = to_number<std::uint64_t>(fields[19]).value_or(0);
  constexpr std::size_t stack_start = 25;
  constexpr std::size_t pending = 28;
  constexpr std::uint64_t kill_signal = std::uint64_t{1} << (SIGKILL - 1);
  if (fields.size() > pending) {
    stat.stack_start = to_number<std::uint64_t>(fields[stack_start]).value_or(0);
    // The end of a process is a SIGKILL for each of its threads.
    stat.is_ending = (to_number<std::uint64_t>(fields[pending]).value_or(0) & kill_signal) != 0;
  }
  stat.is_ending = stat.is_ending || has_ended(stat) || (stat.flags & exiting_flag) != 0;
  if (fields.size() >= 50) stat.exit_status = to_number<int>(fields[49]);
  return stat;
}

std::optional<ProcessStat> read_stat(const std::string& pid_or_task) {
  const auto text = read_file(fmt::format("/proc/{}/stat", pid_or_task));
  if (!text) return std::nullopt;
  return parse_stat(*text);
}

std::optional<Tid> living_thread(Pid pid) {
  const auto first = read_stat(std::to_string(number(pid)));
  if (!first) return std::nullopt;
  if (!first->is_ending) return Tid{number(pid)};
  std::optional<Tid> living;
  for_each_number(fmt::format("/proc/{}/task", number(pid)), [&](pid_t tid) {
    if (living) return;
    const auto stat = read_stat(fmt::format("{}/task/{}", number(pid), tid));
    if (stat && !stat->is_ending) living = Tid{tid};
  });
  return living;
}

std::string living_task(Pid pid) {
  const auto living = living_thread(pid);
  const bool is_first = !living || number(*living) == number(pid);
  return is_first ? std::to_string(number(pid)) : fmt::format("{}/task/{}", number(pid), number(*living));
}

Process::Process(Pid pid) : pid_{pid} {
  require_own_proc(pid);
  const int fd = static_cast<int>(::syscall(SYS_pidfd_open, number(pid), 0));
  if (fd >= 0) pidfd_ = UniqueFd{fd};
  // The pidfd comes first: a stat read while it lives is of the same process.
  const auto stat = read_stat(std::to_string(number(pid)));
  if (!stat) {
    throw Error{ErrorKind::no_process, fmt::format("no process {}", number(pid)),
                "it may have ended; look for it with: pgrep -a python"};
  }
  const auto status = read_status(std::to_string(number(pid)));
  if (status && status->process != Pid{} && status->process != pid) {
    throw Error{ErrorKind::no_process,
                fmt::format("{} is a thread of process {}", number(pid), number(status->process)),
                fmt::format("use -p {}", number(status->process))};
  }
  if (has_ended(*stat) && !living_thread(pid)) {
    throw Error{
        ErrorKind::no_process,
        fmt::format("process {} ({}) has ended and is a zombie", number(pid), stat->name),
        fmt::format("its parent {} has not waited for it; profile a living process", number(stat->parent))};
  }
  if ((stat->flags & kernel_thread_flag) != 0) {
    throw Error{ErrorKind::not_python,
                fmt::format("process {} ({}) is a kernel thread", number(pid), stat->name),
                "give the number of a Python process; pgrep -a python lists them"};
  }
  start_time_ = stat->start_time;
}

bool Process::is_alive() const {
  if (pidfd_) {
    pollfd ended{pidfd_.get(), POLLIN, 0};
    if (::poll(&ended, 1, 0) != 0) return false;
  }
  const auto stat = read_stat(std::to_string(number(pid_)));
  if (!stat || stat->start_time != start_time_) return false;
  return !has_ended(*stat) || living_thread(pid_).has_value();
}

std::optional<int> Process::exit_status() const {
  // A zombie's program has no name any more; that it is refused means that stat would say 0 in any case.
  const auto program = read_link(proc_path("exe"));
  const auto stat = read_stat(std::to_string(number(pid_)));
  const bool is_zombie = stat && stat->start_time == start_time_ && stat->state == 'Z';
  if (is_zombie) return !program && program.error() == ENOENT ? stat->exit_status : std::nullopt;
  return reaped_status(pidfd_.get());
}

std::chrono::milliseconds Process::age() const {
  using namespace std::chrono;
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  const auto ticks = static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
  const auto since_boot = duration_cast<milliseconds>(seconds{now.tv_sec} + nanoseconds{now.tv_nsec});
  return since_boot - milliseconds{start_time_ * 1000 / ticks};
}

std::string Process::proc_path(std::string_view entry) const {
  return fmt::format("/proc/{}/{}", living_task(pid_), entry);
}

bool Process::shows_calls() const {
  const auto file = open_file(proc_path("syscall"), O_RDONLY);
  return file.has_value();
}

Result<void, int> visit_mappings(Pid pid, const MappingVisitor& visit) {
  auto reader = MapsReader::open(pid);
  if (!reader) return Failure{reader.error()};
  for (;;) {
    const auto goes_on = reader->step(visit);
    if (!goes_on) return Failure{goes_on.error()};
    if (!*goes_on) return {};
  }
}

Result<OpenedMapping, int> Process::open_mapping(const FileMapping& mapping) const {
  // map_files is the file itself, whatever its name leads to now (and whatever its inode: an overlay's may be
  // another than the mapping's); it needs CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE.
  // The directory of a task has none, but /proc/TID is there, though not listed.
  const auto teller = living_thread(pid_).value_or(Tid{number(pid_)});
  auto exact = open_below(
      fmt::format("/proc/{}/map_files/{:x}-{:x}", number(teller), mapping.start.value, mapping.end.value), {},
      std::nullopt);
  if (exact) return OpenedMapping{std::move(*exact), false};
  const auto root = proc_path("root");
  const auto root_link = read_link(root);
  auto named =
      open_below(root, path_below_root(mapping.path, root_link ? *root_link : std::string{}), mapping.inode);
  if (named) return OpenedMapping{std::move(*named), true};
  // The program itself has a link of its own, which its name and its root do not matter to.
  auto program = open_below(proc_path("exe"), {}, mapping.inode);
  if (program) return OpenedMapping{std::move(*program), false};
  return Failure{named.error()};
}

std::optional<Pid> tracer_of(Tid tid) {
  const auto status = read_file(fmt::format("/proc/{}/status", number(tid)));
  if (!status) return std::nullopt;
  const auto value = status_value(*status, "TracerPid:");
  return Pid{value ? to_number<pid_t>(*value).value_or(0) : 0};
}

std::optional<Tracing> find_tracer(const Process& process) {
  std::optional<Tracing> found;
  for_each_number(fmt::format("/proc/{}/task", number(process.pid())), [&](pid_t tid) {
    const auto tracer = tracer_of(Tid{tid});
    if (tracer && *tracer != Pid{} && !found) found = Tracing{Tid{tid}, *tracer};
  });
  return found;
}

std::vector<Pid> descendants(Pid parent) {
  constexpr std::size_t most = 4096;
  std::vector<std::pair<Pid, Pid>> parents;  // child, its parent
  for_each_number("/proc", [&](pid_t pid) {
    if (const auto stat = read_stat(std::to_string(pid))) parents.emplace_back(Pid{pid}, stat->parent);
  });
  std::vector<Pid> found{parent};
  for (std::size_t next = 0; next < found.size() && found.size() < most; ++next) {
    for (const auto& [child, its_parent] : parents) {
      if (its_parent == found[next]) found.push_back(child);
    }
  }
  found.erase(found.begin());
  return found;
}

}  // namespace sampler
