#include "sampler/process/namespaces.h"

#include <fmt/format.h>

#include "process/proc_files.h"
#include "sampler/base/file.h"

namespace sampler {
namespace {

std::string_view name_of(NamespaceKind kind) noexcept {
  switch (kind) {
    case NamespaceKind::mount:
      return "mnt";
    case NamespaceKind::pid:
      return "pid";
    case NamespaceKind::user:
      return "user";
  }
  return {};
}

}  // namespace

std::optional<std::uint64_t> parse_namespace_link(std::string_view link) {
  const auto open = link.find(":[");
  if (open == std::string_view::npos || !link.ends_with(']')) return std::nullopt;
  return to_number<std::uint64_t>(link.substr(open + 2));
}

std::optional<std::uint64_t> namespace_of(const std::string& pid, NamespaceKind kind) {
  const auto link = read_link(fmt::format("/proc/{}/ns/{}", pid, name_of(kind)));
  return link ? parse_namespace_link(*link) : std::nullopt;
}

bool is_first_namespace(NamespaceKind kind, std::uint64_t number) noexcept {
  // PROC_PID_INIT_INO and PROC_USER_INIT_INO, include/linux/proc_ns.h.
  constexpr std::uint64_t first_pid = 0xEFFFFFFC;
  constexpr std::uint64_t first_user = 0xEFFFFFFD;
  switch (kind) {
    case NamespaceKind::mount:
      return false;
    case NamespaceKind::pid:
      return number == first_pid;
    case NamespaceKind::user:
      return number == first_user;
  }
  return false;
}

}  // namespace sampler
