#include "option_meaning.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "number.h"
#include "option_table.h"
#include "sampler/base/error.h"

namespace sampler {
namespace {

using std::chrono::nanoseconds;

[[noreturn]] void fail(const std::string& what, std::string hint) {
  throw Error{ErrorKind::usage, what, std::move(hint)};
}

[[noreturn]] void fail_as_contradiction(std::string_view a, std::string_view b, std::string_view hint) {
  fail(fmt::format("{} and {} contradict each other", a, b), std::string{hint});
}

const std::string* value_of(const GivenOptions& given, std::string_view name) {
  const auto found = given.find(name);
  return found == given.end() ? nullptr : &found->second;
}

bool has(const GivenOptions& given, std::string_view name) {
  return given.contains(name);
}

bool is_digits(std::string_view word) {
  return !word.empty() && std::all_of(word.begin(), word.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool is_spelled_as_option(std::string_view word) {
  if (word.starts_with("--")) return option_named(word.substr(2, word.find('=') - 2)) != nullptr;
  return word.size() == 2 && word.front() == '-' && option_with_letter(word.back()) != nullptr;
}

/// Where a word is too many, an option may have been given no value, and taken the next option for it.
void check_swallowed_options(const GivenOptions& given) {
  for (const auto& [name, value] : given) {
    if (!is_spelled_as_option(value)) continue;
    const auto spelling = option_named(name)->spelling();
    fail(fmt::format("'{}' was taken for the value of {}", value, spelling),
         fmt::format("give {} its value before {}", spelling, value));
  }
}

[[noreturn]] void fail_for_word(std::string_view word) {
  if (is_digits(word)) {
    fail(
        fmt::format("'{}' belongs to no option", word),
        fmt::format("for a process use sampler -p {0}; seconds are -s {0}, ticks per second --hz {0}", word));
  }
  if (command_named(word)) {
    fail(fmt::format("the command '{}' is not the first word", word),
         fmt::format("use sampler {} OPTIONS", word));
  }
  fail(fmt::format("'{}' is no command of sampler and belongs to no option", word),
       fmt::format(
           "the commands are record, dump and doctor; to run a program and sample it use sampler -- {} ARGS",
           word));
}

Command command_of(const CommandLine& line, const GivenOptions& given) {
  if (!has(given, "dump")) return line.command.value_or(Command::record);
  if (line.command && line.command != Command::dump) {
    fail_as_contradiction(name_of(*line.command), "-d", "use sampler dump -p PID");
  }
  return Command::dump;
}

void check_target(const CommandLine& line, const GivenOptions& given, Command command) {
  const bool has_trace = !line.trace_marker.empty();
  if (has_trace && has(given, "pid")) {
    fail_as_contradiction("-p", line.trace_marker, "sample a process that runs, or run one, not both");
  }
  if (has_trace && command != Command::record) {
    fail_as_contradiction(
        has(given, "dump") ? "-d" : name_of(command), line.trace_marker,
        fmt::format("it looks at a process that runs: use sampler {} -p PID", name_of(command)));
  }
  if (!has_trace && !has(given, "pid") && command != Command::doctor) {
    fail("no process to sample is named",
         command == Command::dump
             ? "use sampler dump -p PID"
             : "use sampler -p PID, or sampler -- python app.py to run one; sampler --help says more");
  }
}

std::optional<Pid> pid_of(const GivenOptions& given) {
  const auto* const text = value_of(given, "pid");
  if (text == nullptr) return std::nullopt;
  if (const auto pid = parse_pid(*text)) return pid;
  fail(fmt::format("'{}' is not a process id", *text),
       "use -p with a positive number, as pgrep and ps print it");
}

std::optional<PythonVersion> abi_of(const GivenOptions& given) {
  const auto* const text = value_of(given, "abi");
  if (text == nullptr) return std::nullopt;
  if (const auto abi = parse_abi(*text)) return abi;
  fail(fmt::format("unknown ABI '{}'", *text),
       "use --abi with digits such as 27, 38 or 313t, or leave it out");
}

FrameStyle style_of(const GivenOptions& given) {
  const auto* const text = value_of(given, "style");
  if (text == nullptr || *text == "sampler") return FrameStyle::sampler;
  if (*text == "pyflame") return FrameStyle::pyflame;
  fail(fmt::format("unknown style '{}'", *text), "use --style sampler or --style pyflame");
}

Mode parse_mode(std::string_view text) {
  if (text == "wall") return Mode::wall;
  if (text == "active") return Mode::active;
  if (text == "cpu") return Mode::cpu;
  if (text == "gil") return Mode::gil;
  fail(fmt::format("unknown mode '{}'", text), "use --mode wall, active, cpu or gil");
}

std::optional<Mode> named_mode(const GivenOptions& given) {
  const auto* const text = value_of(given, "mode");
  return text == nullptr ? std::nullopt : std::optional{parse_mode(*text)};
}

Mode mode_of(const GivenOptions& given) {
  const auto named = named_mode(given);
  const bool gil = has(given, "gil");
  const bool active = has(given, "exclude-idle");
  constexpr std::string_view hint = "-g is --mode gil and -x is --mode active: give one of them";
  if (named && gil && *named != Mode::gil)
    fail_as_contradiction("-g", "--mode " + *value_of(given, "mode"), hint);
  if (named && active && *named != Mode::active && *named != Mode::gil) {
    fail_as_contradiction("-x", "--mode " + *value_of(given, "mode"), hint);
  }
  if (gil) return Mode::gil;
  return named.value_or(active ? Mode::active : Mode::wall);
}

Hold parse_hold(std::string_view text) {
  if (text == "ptrace") return Hold::ptrace;
  if (text == "preempt") return Hold::preempt;
  if (text == "none") return Hold::none;
  fail(fmt::format("unknown way to hold '{}'", text), "use --hold ptrace, preempt or none");
}

Hold hold_of(const GivenOptions& given) {
  const auto* const text = value_of(given, "hold");
  const auto hold = text == nullptr ? SamplingOptions{}.hold : parse_hold(*text);
  for (const std::string_view name : {"nonblocking", "no-stop"}) {
    if (!has(given, name)) continue;
    if (text == nullptr || hold == Hold::none) return Hold::none;
    fail_as_contradiction(option_named(name)->spelling(), "--hold " + *text,
                          "--nonblocking and --no-stop are --hold none: give one of them");
  }
  return hold;
}

Priority priority_of(const GivenOptions& given) {
  const auto* const text = value_of(given, "priority");
  if (text == nullptr || *text == "high") return Priority::high;
  if (*text == "normal") return Priority::normal;
  fail(fmt::format("unknown priority '{}'", *text), "use --priority high or --priority normal");
}

std::optional<nanoseconds> duration_of(const CommandLine& line, const GivenOptions& given) {
  const auto* const text = value_of(given, "seconds");
  if (text == nullptr)
    return line.trace.empty() ? std::optional<nanoseconds>{std::chrono::seconds{1}} : std::nullopt;
  if (*text == "inf") return std::nullopt;
  const auto seconds = parse_number(*text);
  const auto duration = seconds ? nanoseconds_of(*seconds) : std::nullopt;
  if (duration) return duration;
  fail(fmt::format("'{}' is not a number of seconds for -s", *text),
       "use -s with a number from 0 to 1e9, or -s inf to go on until a signal");
}

nanoseconds interval_from_rate(const std::string& text) {
  const auto seconds = parse_number(text);
  const auto interval = seconds ? nanoseconds_of(*seconds) : std::nullopt;
  if (interval && interval->count() > 0) return *interval;
  fail(fmt::format("'{}' is not a number of seconds between ticks for -r", text),
       "use -r with a number above 0, such as -r 0.01, or --hz 100; --hz max is as fast as it goes");
}

nanoseconds interval_from_hz(const std::string& text) {
  if (text == "max") return nanoseconds{0};
  const auto hz = parse_number(text);
  const auto interval = hz && *hz > 0 && *hz <= 1e9 ? nanoseconds_of(1 / *hz) : std::nullopt;
  if (interval) return *interval;
  fail(fmt::format("'{}' is not a number of ticks per second for --hz", text),
       "use --hz with a number above 0, such as --hz 100, or --hz max");
}

nanoseconds interval_of(const GivenOptions& given) {
  const auto* const rate = value_of(given, "rate");
  const auto* const hz = value_of(given, "hz");
  if (rate != nullptr && hz != nullptr) {
    fail_as_contradiction("-r", "--hz",
                          "-r is in seconds between ticks, --hz in ticks per second: give one of them");
  }
  if (rate != nullptr) return interval_from_rate(*rate);
  return hz != nullptr ? interval_from_hz(*hz) : SamplingOptions{}.interval;
}

double max_overhead_of(const GivenOptions& given) {
  const auto* const text = value_of(given, "max-overhead");
  if (text == nullptr) return SamplingOptions{}.max_overhead;
  const auto percent = parse_number(*text);
  if (percent && *percent >= 0 && *percent <= 100) return *percent;
  fail(fmt::format("'{}' is not a per cent of the time for --max-overhead", *text),
       "use --max-overhead with a number from 0 to 100, such as --max-overhead 5; 0 is no limit");
}

void check_interval(const SamplingOptions& sampling, const GivenOptions& given) {
  const bool is_one_tick = sampling.duration == nanoseconds{0};
  if (!sampling.duration || is_one_tick || sampling.interval <= *sampling.duration) return;
  const auto* const rate = value_of(given, "rate");
  fail(fmt::format("the interval of {:g} s is longer than the run of {:g} s", seconds(sampling.interval),
                   seconds(*sampling.duration)),
       rate == nullptr ? "use a higher --hz, or a longer run with -s"
                       : fmt::format("-r is in seconds between ticks: for {0} ticks per second use --hz {0}; "
                                     "for a longer run use -s",
                                     *rate));
}

void check_dump(const GivenOptions& given) {
  for (const std::string_view name : {"seconds", "rate", "hz", "max-overhead"}) {
    if (!has(given, name)) continue;
    fail(fmt::format("{} means nothing to a dump", option_named(name)->spelling()),
         "leave it out: a dump shows every thread once; to sample for some time leave out dump or -d");
  }
}

void check_doctor(const GivenOptions& given) {
  constexpr std::array<std::string_view, 3> known{"pid", "layout-dir", "log"};
  for (const auto& [name, value] : given) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    fail(fmt::format("{} means nothing to the doctor", option_named(name)->spelling()),
         "leave it out: sampler doctor [-p PID] [--layout-dir DIR]");
  }
}

FormatOptions format_of(const GivenOptions& given) {
  return {.style = style_of(given),
          .line_numbers = !has(given, "no-line-numbers"),
          .thread_roots = has(given, "threads"),
          .full_paths = has(given, "full-paths")};
}

SamplingOptions recording_of(const CommandLine& line, const GivenOptions& given, FrameStyle style) {
  SamplingOptions sampling;
  sampling.interval = interval_of(given);
  sampling.duration = duration_of(line, given);
  sampling.max_overhead = max_overhead_of(given);
  sampling.mode = mode_of(given);
  sampling.hold = hold_of(given);
  sampling.priority = priority_of(given);
  // Pyflame's "(idle)" lines, which its -x leaves out.
  sampling.report_idle =
      style == FrameStyle::pyflame && sampling.mode == Mode::gil && !has(given, "exclude-idle");
  check_interval(sampling, given);
  return sampling;
}

SamplingOptions dumping_of(const GivenOptions& given, FrameStyle style) {
  check_dump(given);
  const auto mode = mode_of(given);
  SamplingOptions sampling;
  sampling.duration = nanoseconds{0};
  // Pyflame's -d implies --threads.
  sampling.mode = style == FrameStyle::pyflame ? Mode::wall : mode;
  sampling.hold = hold_of(given);
  sampling.priority = priority_of(given);
  return sampling;
}

SamplingOptions sampling_of(const CommandLine& line, const GivenOptions& given, const Options& options) {
  switch (options.command) {
    case Command::record:
      return recording_of(line, given, options.format.style);
    case Command::dump:
      return dumping_of(given, options.format.style);
    case Command::doctor:
      check_doctor(given);
      return {};
  }
  return {};
}

std::string text_of(const GivenOptions& given, std::string_view name) {
  const auto* const text = value_of(given, name);
  return text == nullptr ? std::string{} : *text;
}

}  // namespace

Options meaning_of(const CommandLine& line, const GivenOptions& given) {
  Options options;
  options.help = has(given, "help");
  options.version = has(given, "version");
  if (options.help || options.version) return options;
  if (!line.words.empty()) {
    check_swallowed_options(given);
    fail_for_word(line.words.front());
  }
  options.command = command_of(line, given);
  check_target(line, given, options.command);
  options.pid = pid_of(given);
  options.trace = line.trace;
  options.output = text_of(given, "output");
  options.format = format_of(given);
  options.sampling = sampling_of(line, given, options);
  options.abi = abi_of(given);
  options.quiet = has(given, "quiet");
  options.layout_directory = text_of(given, "layout-dir");
  options.log = text_of(given, "log");
  return options;
}

}  // namespace sampler
