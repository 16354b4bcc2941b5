#include "options.h"

#include <fmt/format.h>

#include <boost/program_options.hpp>

#include "command_line.h"
#include "option_meaning.h"
#include "option_table.h"
#include "sampler/base/error.h"
#include "sampler/base/version.h"

namespace sampler {
namespace {

namespace po = boost::program_options;

po::options_description described_options() {
  po::options_description description;
  for (const auto& option : option_table()) {
    const std::string name{option.name};
    if (option.takes_value()) {
      description.add_options()(name.c_str(), po::value<std::string>());
    } else {
      description.add_options()(name.c_str(), po::bool_switch());
    }
  }
  return description;
}

po::variables_map stored_options(const std::vector<std::string>& options) {
  const auto description = described_options();
  po::variables_map values;
  // Nothing but what the table says: no abbreviations, no values after a space (those are joined by now).
  constexpr int style = po::command_line_style::allow_long | po::command_line_style::long_allow_adjacent;
  po::store(po::command_line_parser{options}.options(description).style(style).run(), values);
  return values;
}

GivenOptions given_options(const std::vector<std::string>& options) {
  GivenOptions given;
  for (const auto& [name, value] : stored_options(options)) {
    if (value.defaulted()) continue;
    const auto* const text = boost::any_cast<std::string>(&value.value());
    given.emplace(name, text == nullptr ? std::string{} : *text);
  }
  return given;
}

GivenOptions checked_options(const std::vector<std::string>& options) {
  try {
    return given_options(options);
  } catch (const po::multiple_occurrences& error) {
    throw Error{ErrorKind::usage, fmt::format("{} is given twice", error.get_option_name()), "give it once"};
  } catch (const po::unknown_option& error) {
    throw Error{ErrorKind::usage, fmt::format("unknown option '{}'", error.get_option_name()),
                "sampler --help lists the options; they cannot be abbreviated"};
  } catch (const po::error& error) {
    throw Error{ErrorKind::usage, fmt::format("cannot read the options: {}", error.what()),
                "sampler --help lists the options"};
  }
}

}  // namespace

Options parse_options(std::span<const char* const> args) {
  const auto line = split_command_line(args);
  if (line.mistake) throw Error{*line.mistake};
  return meaning_of(line, checked_options(line.options));
}

bool asks_for_command(std::span<const char* const> args) {
  return !split_command_line(args).trace_marker.empty();
}

std::string help_text() {
  return fmt::format(
      R"(Where a running Python spends its time: folded stacks for flamegraph.pl.

Usage: sampler [record] [OPTIONS] -p PID
       sampler [record] [OPTIONS] -t CMD...      or: sampler [OPTIONS] -- CMD...
       sampler dump [OPTIONS] -p PID
       sampler doctor [-p PID]                   why sampling does not work

What to sample:
{}
How to sample:
{}
What to write:
{}
Other:
{}
Examples:
  sampler -p 1234 -s 10 -o out.samp && flamegraph.pl out.samp > out.svg
  sampler --hz 500 -o out.samp -- python app.py
  sampler dump -p 1234
  sampler doctor -p 1234

Exit statuses:
  0 done    1 internal error    2 usage    3 no such process, or it ended    4 permission
  5 not Python    6 unsupported Python    7 already traced    8 output    9 no stack taken
  With -t or --: the command's own, 128 + N where signal N ended it; 125 to 127 are ours.
)",
      option_lines(OptionGroup::target), option_lines(OptionGroup::sampling),
      option_lines(OptionGroup::output), option_lines(OptionGroup::other));
}

std::string version_text(std::span<const PythonVersion> supported) {
  std::string abis;
  for (const auto version : supported) {
    abis += fmt::format(" {}{}{}", version.major, version.minor, version.free_threaded ? "t" : "");
  }
  return fmt::format("sampler {} (ABI list:{})\n", program_version(), abis);
}

}  // namespace sampler
