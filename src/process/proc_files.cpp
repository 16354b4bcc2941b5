#include "process/proc_files.h"

#include <sys/resource.h>

#include <algorithm>
#include <limits>

namespace sampler {

std::optional<std::string_view> status_value(std::string_view text, std::string_view key) {
  auto at = text.find(key);
  while (at != std::string_view::npos && at != 0 && text[at - 1] != '\n') at = text.find(key, at + 1);
  if (at == std::string_view::npos) return std::nullopt;
  auto value = text.substr(at + key.size());
  value = value.substr(0, value.find('\n'));
  value.remove_prefix(std::min(value.find_first_not_of(" \t"), value.size()));
  return value;
}

std::uint64_t file_limit() noexcept {
  rlimit limit{};
  return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : std::numeric_limits<std::uint64_t>::max();
}

}  // namespace sampler
