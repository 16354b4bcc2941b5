#include "sampler/process/thread_watch.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "sampler/base/file.h"

namespace sampler {
namespace {

UniqueFd open_task_file(Pid pid, Tid tid, std::string_view name) {
  auto file = open_file(fmt::format("/proc/{}/task/{}/{}", number(pid), number(tid), name), O_RDONLY);
  return file ? std::move(*file) : UniqueFd{};
}

template <std::size_t N>
std::string_view read_again(const UniqueFd& file, std::array<char, N>& buffer) {
  if (!file) return {};
  const auto got = ::pread(file.get(), buffer.data(), buffer.size(), 0);
  return got > 0 ? std::string_view{buffer.data(), static_cast<std::size_t>(got)} : std::string_view{};
}

}  // namespace

std::optional<BlockedCall> parse_blocked_call(std::string_view text) {
  BlockedCall call;
  const char* const end = text.data() + text.size();
  const auto [after_number, error] = std::from_chars(text.data(), end, call.number);
  if (error != std::errc{} || call.number < 0) return std::nullopt;
  constexpr std::string_view prefix = " 0x";
  const std::string_view rest{after_number, static_cast<std::size_t>(end - after_number)};
  if (!rest.starts_with(prefix)) return std::nullopt;
  if (std::from_chars(after_number + prefix.size(), end, call.first_argument, 16).ec != std::errc{}) {
    return std::nullopt;
  }
  return call;
}

ThreadWatch::ThreadWatch(Pid pid, Tid tid)
    : stat_{open_task_file(pid, tid, "stat")},
      schedstat_{open_task_file(pid, tid, "schedstat")},
      syscall_{open_task_file(pid, tid, "syscall")} {}

std::optional<char> ThreadWatch::state() const {
  std::array<char, 512> buffer;
  const auto text = read_again(stat_, buffer);
  const auto close = text.rfind(") ");
  if (close == std::string_view::npos || close + 2 >= text.size()) return std::nullopt;
  return text[close + 2];
}

std::optional<int> ThreadWatch::last_cpu() const {
  // Field 39 of proc(5); the state behind the name is field 3.
  constexpr int fields_behind_state = 36;
  std::array<char, 512> buffer;
  auto text = read_again(stat_, buffer);
  text.remove_prefix(std::min(text.rfind(") ") + 2, text.size()));
  for (int field = 0; field < fields_behind_state; ++field) {
    text.remove_prefix(std::min(text.find(' '), text.size() - 1) + 1);
    if (text.empty()) return std::nullopt;
  }
  int cpu = 0;
  if (std::from_chars(text.data(), text.data() + text.size(), cpu).ec != std::errc{}) return std::nullopt;
  return cpu;
}

std::optional<Turns> ThreadWatch::turns() const {
  std::array<char, 128> buffer;
  const auto text = read_again(schedstat_, buffer);
  const char* const end = text.data() + text.size();
  Turns turns;
  std::uint64_t waited = 0;
  auto rest = std::from_chars(text.data(), end, turns.cpu_nanoseconds);
  for (auto* const number : {&waited, &turns.times}) {
    if (rest.ec != std::errc{} || rest.ptr == end) return std::nullopt;
    rest = std::from_chars(rest.ptr + 1, end, *number);
  }
  // A thread has had a turn, so with 0 this kernel does not count (delayacct off, no schedstats).
  return rest.ec == std::errc{} && turns.times != 0 ? std::optional{turns} : std::nullopt;
}

std::optional<BlockedCall> ThreadWatch::blocked_call() const {
  std::array<char, 256> buffer;
  return parse_blocked_call(read_again(syscall_, buffer));
}

}  // namespace sampler
