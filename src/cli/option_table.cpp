#include "option_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace sampler {
namespace {

constexpr std::array<OptionSpec, 25> table{{
    {'p', "pid", "PID", OptionGroup::target, "sample this process"},
    {'t', "trace", "CMD...", OptionGroup::target,
     "run this command and sample it; the rest of the line is its own"},
    {'d', "dump", "", OptionGroup::target, "print every thread's stack once, as the command dump does"},
    {'\0', "abi", "N", OptionGroup::target,
     "the Python you expect: 27 36 ... 315 314t; a check, never needed"},
    {'\0', "layout-dir", "DIR", OptionGroup::target, "add this directory's layout files to those built in"},
    {'s', "seconds", "SECS", OptionGroup::sampling,
     "how long; 0: one tick, inf: until a signal (default 1; inf with -t)"},
    {'r', "rate", "SECS", OptionGroup::sampling, "seconds between two ticks (default 0.01)"},
    {'\0', "hz", "N", OptionGroup::sampling, "ticks per second instead of -r; max: as many as it can"},
    {'\0', "max-overhead", "N", OptionGroup::sampling,
     "hold the target for at most N % of the time (default 5; 0: no limit)"},
    {'\0', "mode", "MODE", OptionGroup::sampling,
     "threads to keep: wall (all), active, cpu or gil (default wall)"},
    {'x', "exclude-idle", "", OptionGroup::sampling, "--mode active: threads that run or wait for the GIL"},
    {'g', "gil", "", OptionGroup::sampling, "--mode gil: the thread that holds the GIL"},
    {'\0', "hold", "HOW", OptionGroup::sampling,
     "keep a running thread still by: ptrace, preempt or none (default ptrace)"},
    {'\0', "nonblocking", "", OptionGroup::sampling, "--hold none: plausible stacks, not proven ones"},
    {'\0', "no-stop", "", OptionGroup::sampling, "--hold none"},
    {'\0', "priority", "LEVEL", OptionGroup::sampling, "the sampler's own: high or normal (default high)"},
    {'o', "output", "FILE", OptionGroup::output, "write there (default: -, standard output)"},
    {'n', "no-line-numbers", "", OptionGroup::output, "functions without their line numbers"},
    {'\0', "threads", "", OptionGroup::output, "a root frame per thread"},
    {'\0', "style", "STYLE", OptionGroup::output, "sampler: name (file:line); pyflame: file:name:line"},
    {'\0', "full-paths", "", OptionGroup::output, "file names as they are, not shortened"},
    {'q', "quiet", "", OptionGroup::output, "print nothing but errors to standard error"},
    {'\0', "log", "SPEC", OptionGroup::output, "log levels: debug, or cpython=debug,elf=info"},
    {'h', "help", "", OptionGroup::other, "print this"},
    {'v', "version", "", OptionGroup::other, "print the version and the Pythons it knows"},
}};

std::string usage_of(const OptionSpec& option) {
  const auto letter = option.letter == '\0' ? std::string{"    "} : fmt::format("-{}, ", option.letter);
  return fmt::format("{}--{} {}", letter, option.name, option.value);
}

template <class Predicate>
const OptionSpec* find_option(Predicate predicate) noexcept {
  const auto* const found = std::find_if(table.begin(), table.end(), predicate);
  return found == table.end() ? nullptr : found;
}

}  // namespace

std::string OptionSpec::spelling() const {
  return letter == '\0' ? fmt::format("--{}", name) : fmt::format("-{}", letter);
}

std::span<const OptionSpec> option_table() noexcept {
  return table;
}

const OptionSpec* option_named(std::string_view name) noexcept {
  return find_option([&](const OptionSpec& option) { return option.name == name; });
}

const OptionSpec* option_with_letter(char letter) noexcept {
  return find_option([&](const OptionSpec& option) { return letter != '\0' && option.letter == letter; });
}

std::string option_lines(OptionGroup group) {
  std::string text;
  for (const auto& option : table) {
    if (option.group == group) text += fmt::format("  {:<26}{}\n", usage_of(option), option.help);
  }
  return text;
}

}  // namespace sampler
