#include "sampler/process/thread_watch.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>

#include "process/proc_files.h"
#include "sampler/base/file.h"

namespace sampler {
namespace {

/// Whether this is one of the last files that we may open: they are left for the output and the like.
bool is_among_last(const UniqueFd& file) {
  constexpr std::uint64_t files_left = 16;
  return static_cast<std::uint64_t>(file.get()) + files_left >= file_limit();
}

UniqueFd open_task_file(Pid pid, Tid tid, std::string_view name, bool& lacks_files) {
  auto file = open_file(fmt::format("/proc/{}/task/{}/{}", number(pid), number(tid), name), O_RDONLY);
  const bool is_too_many = file ? is_among_last(*file) : file.error() == EMFILE || file.error() == ENFILE;
  lacks_files = lacks_files || is_too_many;
  return file && !is_too_many ? std::move(*file) : UniqueFd{};
}

template <std::size_t N>
std::string_view read_again(const UniqueFd& file, std::array<char, N>& buffer) {
  if (!file) return {};
  const auto got = ::pread(file.get(), buffer.data(), buffer.size(), 0);
  return got > 0 ? std::string_view{buffer.data(), static_cast<std::size_t>(got)} : std::string_view{};
}

/// The number in a text's field, counted from 0; false where there is none.
bool parse_field(std::string_view text, int field, int& value) {
  for (; field > 0; --field) {
    const auto space = text.find(' ');
    if (space == std::string_view::npos) return false;
    text.remove_prefix(space + 1);
  }
  return std::from_chars(text.data(), text.data() + text.size(), value).ec == std::errc{};
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

std::optional<RemoteAddress> parse_stack_pointer(std::string_view text) {
  // "..., 0xSTACK_POINTER 0xPROGRAM_COUNTER\n"
  constexpr std::string_view prefix = " 0x";
  const auto last = text.rfind(prefix);
  const auto place = last == std::string_view::npos || last == 0 ? last : text.rfind(prefix, last - 1);
  if (place == std::string_view::npos || place == last) return std::nullopt;
  text = text.substr(place + prefix.size(), last - place - prefix.size());
  RemoteAddress pointer;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), pointer.value, 16);
  return error == std::errc{} && end == text.data() + text.size() ? std::optional{pointer} : std::nullopt;
}

std::optional<ThreadPlace> parse_place(std::string_view text) {
  const auto close = text.rfind(") ");  // a name may hold anything
  if (close == std::string_view::npos || close + 2 >= text.size()) return std::nullopt;
  text.remove_prefix(close + 2);
  ThreadPlace place{.state = text.front()};
  int priority = 0;
  // Fields 18 and 39 of proc(5); the state is field 3.
  if (!parse_field(text, 15, priority) || !parse_field(text, 36, place.cpu) || place.cpu < 0)
    return std::nullopt;
  place.is_realtime = priority < 0;
  return place;
}

std::optional<std::uint64_t> parse_departures(std::string_view text) {
  const auto count_of = [&](std::string_view key) {
    const auto value = status_value(text, key);
    return value ? to_number<std::uint64_t>(*value) : std::nullopt;
  };
  const auto asked_for = count_of("voluntary_ctxt_switches:");
  const auto forced = count_of("nonvoluntary_ctxt_switches:");
  return asked_for && forced ? std::optional{*asked_for + *forced} : std::nullopt;
}

ThreadWatch::ThreadWatch(Pid pid, Tid tid)
    : pid_{pid},
      tid_{tid},
      stat_{open_task_file(pid, tid, "stat", lacks_files_)},
      schedstat_{open_task_file(pid, tid, "schedstat", lacks_files_)},
      syscall_{open_task_file(pid, tid, "syscall", lacks_files_)} {
  if (hides_calls()) status_ = open_task_file(pid, tid, "status", lacks_files_);
  if (!lacks_files_) return;
  // A part of the evidence is none.
  stat_ = UniqueFd{};
  schedstat_ = UniqueFd{};
  syscall_ = UniqueFd{};
  status_ = UniqueFd{};
}

std::optional<ThreadPlace> ThreadWatch::place() const {
  std::array<char, 2048> buffer;  // 52 numbers of at most 20 digits, and the name
  return parse_place(read_again(stat_, buffer));
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

std::optional<std::uint64_t> ThreadWatch::departures() {
  bool lacks_it = false;
  if (!status_) status_ = open_task_file(pid_, tid_, "status", lacks_it);
  std::array<char, 16384> buffer;
  return parse_departures(read_again(status_, buffer));
}

bool ThreadWatch::is_on_cpu() const {
  // The kernel waits until the thread is off its CPU before it looks at its registers.
  std::array<char, 256> buffer;
  const auto text = read_again(syscall_, buffer);
  return text.empty() ? has_turn() : text.starts_with("running");
}

bool ThreadWatch::has_turn() const {
  std::array<char, 16384> buffer;
  // The order matters: where it was given a CPU no more often by the second moment than it had lost one by
  // the first, it had none in between.
  const auto departures = parse_departures(read_again(status_, buffer));
  const auto arrivals = turns();
  if (!departures || !arrivals) return true;
  const auto ahead = static_cast<std::int64_t>(arrivals->times) - static_cast<std::int64_t>(*departures);
  // 0, but one less for each time that it was preempted on its way to sleep, by a kernel that preempts
  // itself: its next arrival is not counted.
  least_ahead_ = std::min(least_ahead_, ahead);
  return ahead != least_ahead_;
}

std::optional<RemoteAddress> ThreadWatch::stack_pointer() const {
  if (hides_calls()) return held_stack_pointer();
  std::array<char, 256> buffer;
  return parse_stack_pointer(read_again(syscall_, buffer));
}

std::optional<RemoteAddress> ThreadWatch::held_stack_pointer() const {
  const auto its = place();
  if (!its || its->state != 't') return std::nullopt;
  user_regs_struct registers{};
  if (::ptrace(PTRACE_GETREGS, number(tid_), nullptr, &registers) != 0) return std::nullopt;
  return RemoteAddress{registers.rsp};
}

std::optional<BlockedCall> ThreadWatch::blocked_call() const {
  std::array<char, 256> buffer;
  return parse_blocked_call(read_again(syscall_, buffer));
}

}  // namespace sampler
