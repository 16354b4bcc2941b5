#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "options.h"
#include "sampler/base/error.h"

namespace sampler {

/// A command line taken apart, but not understood yet.
struct CommandLine {
  std::optional<Command> command;    ///< where the first word is one
  std::vector<std::string> options;  ///< each written as --name or --name=value
  std::vector<std::string> words;    ///< what belongs to no option
  std::string trace_marker;  ///< "-t", "--trace" or "--", whichever began the command to run; empty: none
  std::vector<std::string> trace;  ///< the command to run; not empty where there is a marker and no mistake
  std::optional<Error> mistake;    ///< the first, Error{usage}; what follows it is taken apart all the same
};

/// The command that a word names, if it names one.
[[nodiscard]] std::optional<Command> command_named(std::string_view word) noexcept;
[[nodiscard]] std::string_view name_of(Command command) noexcept;

/// Takes a command line apart as getopt does: flags share a dash (`-xn`), a value follows its option at once
/// or as the next word, whatever it looks like. From -t or -- on, everything is the command to run.
[[nodiscard]] CommandLine split_command_line(std::span<const char* const> args);

}  // namespace sampler
