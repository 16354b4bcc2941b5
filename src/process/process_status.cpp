#include "sampler/process/process_status.h"

#include <fmt/format.h>

#include <algorithm>

#include "process/proc_files.h"
#include "sampler/base/file.h"

namespace sampler {
namespace {

template <class T>
T number_of(std::string_view text, std::string_view key) {
  const auto value = status_value(text, key);
  return value ? to_number<T>(*value).value_or(T{}) : T{};
}

std::uint64_t bits_of(std::string_view text, std::string_view key) {
  const auto value = status_value(text, key).value_or(std::string_view{});
  std::uint64_t bits = 0;
  std::from_chars(value.data(), value.data() + value.size(), bits, 16);
  return bits;
}

/// The first three of "real effective saved filesystem".
std::array<uid_t, 3> ids_of(std::string_view text, std::string_view key) {
  std::array<uid_t, 3> ids{};
  auto rest = status_value(text, key).value_or(std::string_view{});
  for (auto& id : ids) {
    id = to_number<uid_t>(rest).value_or(0);
    rest.remove_prefix(std::min(rest.find('\t'), rest.size()));
    rest.remove_prefix(std::min<std::size_t>(1, rest.size()));
  }
  return ids;
}

}  // namespace

ProcessStatus parse_status(std::string_view text) {
  ProcessStatus status;
  status.process = Pid{number_of<pid_t>(text, "Tgid:")};
  status.users = ids_of(text, "Uid:");
  status.groups = ids_of(text, "Gid:");
  status.numbers = parse_namespace_numbers(text);
  status.threads = number_of<int>(text, "Threads:");
  status.permitted = bits_of(text, "CapPrm:");
  status.effective = bits_of(text, "CapEff:");
  status.seccomp = number_of<int>(text, "Seccomp:");
  return status;
}

std::optional<ProcessStatus> read_status(const std::string& pid) {
  const auto text = read_file(fmt::format("/proc/{}/status", pid));
  if (!text) return std::nullopt;
  return parse_status(*text);
}

}  // namespace sampler
