#include "sampler/process/thread_numbers.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <string>
#include <unordered_set>
#include <utility>

#include "process/proc_files.h"
#include "sampler/base/file.h"

namespace sampler {
namespace {

/// A process with more threads than this has the others left unknown.
constexpr std::size_t most_threads_known = 16384;

bool is_in_inner_namespace(Pid pid) {
  const auto status = read_file(fmt::format("/proc/{}/status", number(pid)));
  const auto numbers = status ? parse_namespace_numbers(*status) : std::nullopt;
  return numbers && numbers->is_nested;  // a kernel without PID namespaces has no such line
}

/// Whether this file may stay open: others, of each thread too, are to come.
bool may_stay_open(const UniqueFd& file) {
  return static_cast<std::uint64_t>(file.get()) < file_limit() / 2;
}

/// A file of an open directory, as a path.
std::string in_directory(const UniqueFd& directory, std::string_view name) {
  return fmt::format("/proc/self/fd/{}/{}", directory.get(), name);
}

std::optional<pid_t> whole_number(std::string_view word) {
  if (word.find_first_not_of("0123456789") != std::string_view::npos) return std::nullopt;
  const auto value = to_number<pid_t>(word);
  return value && *value > 0 ? value : std::nullopt;
}

}  // namespace

std::optional<NamespaceNumbers> parse_namespace_numbers(std::string_view status) {
  const auto line = status_value(status, "NSpid:");
  if (!line) return std::nullopt;
  // From the namespace of the /proc that was read to the innermost: "4242\t17\t1".
  const auto ours = whole_number(line->substr(0, line->find('\t')));
  const auto inner = whole_number(line->substr(line->rfind('\t') + 1));
  if (!ours || !inner) return std::nullopt;
  return NamespaceNumbers{Tid{*ours}, InnerTid{*inner}, line->find('\t') != std::string_view::npos};
}

ThreadNumbers::ThreadNumbers(Pid pid) : pid_{pid}, is_nested_{is_in_inner_namespace(pid)} {}

Tid ThreadNumbers::ours(InnerTid inner) {
  if (!is_nested_) return Tid{number(inner)};
  const auto known = find(inner);
  if (known != Tid{} || !std::exchange(may_list_, false)) return known;
  list();
  return find(inner);
}

bool ThreadNumbers::is_alive(InnerTid inner, const Known& thread) const {
  if (thread.comm) {
    char byte = 0;
    return ::pread(thread.comm.get(), &byte, 1, 0) == 1;
  }
  const auto status = read_file(fmt::format("/proc/{}/task/{}/status", number(pid_), number(thread.ours)));
  const auto numbers = status ? parse_namespace_numbers(*status) : std::nullopt;
  return numbers && numbers->inner == inner;
}

Tid ThreadNumbers::find(InnerTid inner) {
  const auto found = known_.find(number(inner));
  if (found == known_.end()) return Tid{};
  if (is_alive(inner, found->second)) return found->second.ours;
  known_.erase(found);
  return Tid{};
}

void ThreadNumbers::list() {
  std::erase_if(known_, [&](const auto& entry) { return !is_alive(InnerTid{entry.first}, entry.second); });
  std::unordered_set<pid_t> known;
  for (const auto& [inner, thread] : known_) known.insert(number(thread.ours));
  for_each_number(fmt::format("/proc/{}/task", number(pid_)), [&](pid_t tid) {
    if (!known.contains(tid) && known_.size() < most_threads_known) add(Tid{tid});
  });
}

void ThreadNumbers::add(Tid ours) {
  // The directory belongs to this very thread: what is opened in it is of no other, should the number be used
  // again.
  const auto directory =
      open_file(fmt::format("/proc/{}/task/{}", number(pid_), number(ours)), O_PATH | O_DIRECTORY);
  if (!directory) return;
  const auto status = read_file(in_directory(*directory, "status"));
  const auto numbers = status ? parse_namespace_numbers(*status) : std::nullopt;
  if (!numbers) return;
  auto comm = open_file(in_directory(*directory, "comm"), O_RDONLY);
  const bool is_kept = comm && may_stay_open(*comm);
  known_.insert_or_assign(number(numbers->inner),
                          Known{numbers->ours, is_kept ? std::move(*comm) : UniqueFd{}});
}

}  // namespace sampler
