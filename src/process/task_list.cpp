#include "sampler/process/task_list.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>

#include "process/proc_files.h"
#include "sampler/base/file.h"
#include "sampler/process/process.h"

namespace sampler {
namespace {

UniqueFd open_tasks(Pid pid) {
  auto directory = open_file(fmt::format("/proc/{}/task", number(pid)), O_RDONLY | O_DIRECTORY);
  return directory ? std::move(*directory) : UniqueFd{};
}

}  // namespace

TaskList::TaskList(Pid pid) : pid_{pid}, directory_{open_tasks(pid)} {}

void TaskList::look(Clock::time_point now) {
  struct stat facts {};
  if (!directory_ || ::fstat(directory_.get(), &facts) != 0) return;
  if (facts.st_nlink == links_ && now - listed_at_ < longest) return;
  // The count comes first: a thread that begins or ends meanwhile makes it another.
  links_ = facts.st_nlink;
  listed_at_ = now;
  list();
}

void TaskList::list() {
  living_.clear();
  for_each_number(fmt::format("/proc/{}/task", number(pid_)), [&](pid_t tid) { living_.insert(tid); });
  // The first thread stays in the list as a zombie until the others have ended too.
  const auto first = read_stat(std::to_string(number(pid_)));
  if (!first || first->state == 'Z' || first->state == 'X') living_.erase(number(pid_));
}

bool TaskList::has(Tid tid) {
  if (tid == Tid{}) return false;
  if (!directory_ || living_.contains(number(tid))) return true;
  if (number(tid) == number(pid_)) return false;  // a zombie
  std::array<char, 16> name{};
  fmt::format_to_n(name.data(), name.size() - 1, "{}", number(tid));
  if (::faccessat(directory_.get(), name.data(), F_OK, 0) != 0) return false;
  living_.insert(number(tid));
  return true;
}

}  // namespace sampler
