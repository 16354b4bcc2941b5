#include "summary.h"

#include <fmt/format.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "number.h"

namespace sampler {
namespace {

using std::chrono::nanoseconds;

std::string counted(std::uint64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

double percent_of_run(nanoseconds time, const RunSummary& summary) {
  return summary.elapsed.count() > 0 ? 100 * seconds(time) / seconds(summary.elapsed) : 0;
}

std::string three_digits(double value) {
  const int decimals = value < 10 ? 2 : value < 100 ? 1 : 0;
  return fmt::format("{:.{}f}", value, decimals);
}

std::string line(std::string_view heading, std::string_view text) {
  return fmt::format("{:<9}{}\n", heading, text);
}

std::string ticks_line(const RunSummary& summary) {
  const auto rate =
      summary.elapsed.count() > 0 ? static_cast<double>(summary.taken) / seconds(summary.elapsed) : 0;
  return line("ticks", fmt::format("{} asked, {} taken, {} late, {} failed in {} ({:.1f} per second)",
                                   summary.asked, summary.taken, summary.late, summary.failed_total(),
                                   time_text(summary.elapsed), rate));
}

using FailureCount = std::pair<TickFailure, std::uint64_t>;

/// Those that happened, the most frequent first.
std::vector<FailureCount> failures(const RunSummary& summary) {
  std::vector<FailureCount> result;
  for (std::size_t i = 0; i < summary.failed.size(); ++i) {
    if (summary.failed[i] != 0) result.emplace_back(static_cast<TickFailure>(i), summary.failed[i]);
  }
  std::stable_sort(result.begin(), result.end(), [](auto a, auto b) { return a.second > b.second; });
  return result;
}

std::string failure_lines(const RunSummary& summary) {
  std::string text;
  for (const auto& [failure, count] : failures(summary)) {
    text += line("", fmt::format("{} failed: {}", count, description(failure)));
  }
  return text;
}

std::string failed_text(const RunSummary& summary) {
  std::string text;
  for (const auto& [failure, count] : failures(summary)) {
    text += fmt::format("{} {} failed, {}", text.empty() ? ":" : ";", count, description(failure));
  }
  return text;
}

std::string interval_line(const RunSummary& summary, double max_overhead) {
  if (summary.widest_interval == nanoseconds{0}) return {};
  // As fast as it goes has no schedule to leave anything out of.
  const auto what = summary.left_out == 0 ? std::string{"not as fast as it goes"}
                                          : fmt::format("{} more left out", summary.left_out);
  return line("", fmt::format("{}, the interval up to {}: the target would be held for over {:g} % of the "
                              "time (--max-overhead 0: no limit)",
                              what, time_text(summary.widest_interval), max_overhead));
}

std::string samples_line(const RunSummary& summary) {
  auto text = fmt::format("{} of {}", summary.samples, counted(summary.threads, "thread"));
  if (summary.too_deep != 0) text += fmt::format(", {} <too deep>", summary.too_deep);
  if (summary.unreadable != 0) text += fmt::format(", {} <unreadable>", summary.unreadable);
  if (summary.torn != 0) text += fmt::format(", {} <torn>", summary.torn);
  return line("samples", text);
}

std::string left_out_line(const RunSummary& summary) {
  return summary.left_out_states == 0 ? std::string{} : line("", left_out_text(summary.left_out_states));
}

std::string stops_line(const RunSummary& summary) {
  const auto& held = summary.held;
  if (held.count == 0) return line("stopped", "never");
  return line("stopped",
              fmt::format("{}: median {}, p99 {}, {} in all, {:.2f} % of the run, as the sampler sees it",
                          counted(held.count, "time"), time_text(held.median), time_text(held.p99),
                          time_text(held.total), percent_of_run(held.wall, summary)));
}

std::string side_effect_lines(const RunSummary& summary) {
  std::string text;
  if (summary.proofs + summary.failed_proofs != 0) {
    text += line("", fmt::format("without ptrace: {} proven not to have run meanwhile, {} not",
                                 summary.proofs, summary.failed_proofs));
  }
  if (summary.silent_functions != 0) {
    text +=
        line("", fmt::format("{} of the program compiled to machine code (a JIT): what is on top of their "
                             "frames is not checked with --hold none",
                             counted(summary.silent_functions, "function")));
  }
  if (summary.late_stops != 0) text += line("", counted(summary.late_stops, "stop") + " came late");
  if (summary.interrupted_calls != 0) {
    text +=
        line("", counted(summary.interrupted_calls, "system call") + " of the target interrupted (EINTR)");
  }
  return text;
}

std::string cpu_line(const RunSummary& summary) {
  return line("sampler", fmt::format("used {} of CPU time, {:.2f} % of a CPU", time_text(summary.cpu),
                                     percent_of_run(summary.cpu, summary)));
}

/// "1.4 of 10"
std::string elapsed_text(nanoseconds elapsed, std::optional<nanoseconds> duration) {
  const auto of = duration ? fmt::format(" of {:g}", seconds(*duration)) : std::string{};
  return fmt::format("{:.1f}{}", seconds(elapsed), of);
}

std::string way_to_end(int status) {
  if (WIFEXITED(status)) return fmt::format(", with status {}", WEXITSTATUS(status));
  if (!WIFSIGNALED(status)) return {};
  const int signal = WTERMSIG(status);
  const char* const name = ::sigabbrev_np(signal);  // null for realtime signals
  return fmt::format(", killed by signal {}{}", signal, name == nullptr ? "" : fmt::format(" (SIG{})", name));
}

std::string_view nothing_seen(Mode mode) noexcept {
  switch (mode) {
    case Mode::wall:
      return "no thread had a Python stack";
    case Mode::active:
      return "no thread ran or waited for the GIL; without -x idle threads count too";
    case Mode::cpu:
      return "no thread was on a CPU; without --mode cpu idle threads count too";
    case Mode::gil:
      return "no thread held the GIL; without -g idle threads count too";
  }
  return {};
}

}  // namespace

std::string summary_text(const RunSummary& summary, double max_overhead) {
  return ticks_line(summary) + failure_lines(summary) + interval_line(summary, max_overhead) +
         samples_line(summary) + left_out_line(summary) + stops_line(summary) + side_effect_lines(summary) +
         cpu_line(summary);
}

std::string left_out_text(std::uint64_t states) {
  return fmt::format(
      "left out: {} that name{} no thread of the process (it has ended, or CPython was not told of a fork)",
      counted(states, "thread state"), states == 1 ? "s" : "");
}

std::string no_stack_text(const RunSummary& summary, Mode mode) {
  const auto prefix = fmt::format("no stack taken in {}", counted(summary.asked, "tick"));
  if (summary.asked == 0) return "no stack taken: the run ended before its first tick";
  if (summary.failed_total() != 0) return prefix + failed_text(summary);
  if (summary.taken == 0) return prefix + ": all were late; the machine has no CPU to spare";
  if (summary.samples != 0) {
    return fmt::format("{}: {} taken, none of which could be read", prefix,
                       counted(summary.samples, "sample"));
  }
  const auto left_out = summary.left_out_states == 0 ? "" : "; " + left_out_text(summary.left_out_states);
  return fmt::format("{}: {}{}", prefix, nothing_seen(mode), left_out);
}

std::optional<Error> refused_stops(const RunSummary& summary, Pid pid, bool has_gil) {
  const auto refused = summary.failed.at(static_cast<std::size_t>(TickFailure::refused));
  if (refused == 0 || summary.taken != 0 || refused != summary.failed_total()) return std::nullopt;
  return Error{ErrorKind::permission,
               fmt::format("no running thread of process {} could be sampled in {}: {}", number(pid),
                           counted(refused, "tick"), description(TickFailure::refused)),
               has_gil ? "use --hold preempt, which stops nobody" : "use --hold none"};
}

std::string hidden_calls_text(Pid pid) {
  return fmt::format(
      "threads of process {0} that wait for the GIL look idle: /proc/{0}/syscall is closed to us; run as "
      "root, "
      "as its user, or with CAP_DAC_READ_SEARCH too",
      number(pid));
}

std::string progress_text(Pid pid, nanoseconds elapsed, std::optional<nanoseconds> duration,
                          std::uint64_t ticks, std::uint64_t samples) {
  auto text = fmt::format("sampling {}: {} s, {}, {}", number(pid), elapsed_text(elapsed, duration),
                          counted(ticks, "tick"), counted(samples, "sample"));
  constexpr std::size_t longest = 79;  // a wider line would wrap, and "\r" no longer return to its start
  text.resize(std::min(text.size(), longest));
  return text;
}

std::string early_end_text(Pid pid, nanoseconds elapsed, std::optional<nanoseconds> duration,
                           std::optional<int> status) {
  return fmt::format("process {} ended after {} s{}", number(pid), elapsed_text(elapsed, duration),
                     status ? way_to_end(*status) : "");
}

std::string time_text(nanoseconds time) {
  const auto value = static_cast<double>(time.count());
  if (value < 1e3) return fmt::format("{} ns", time.count());
  if (value < 1e6) return fmt::format("{} us", three_digits(value / 1e3));
  if (value < 1e9) return fmt::format("{} ms", three_digits(value / 1e6));
  return fmt::format("{:.1f} s", value / 1e9);
}

}  // namespace sampler
