#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sampler/base/ids.h"
#include "sampler/export/format_registry.h"
#include "sampler/model/python_version.h"
#include "sampler/sampler/sampling_options.h"

namespace sampler {

/// What to do; the first word of a command line may say so.
enum class Command { record, dump, doctor };

/// What a command line asks for. Unless help or version is set, exactly one of pid and trace is; with doctor
/// there may be neither.
struct Options {
  Command command = Command::record;
  std::optional<Pid> pid;
  std::vector<std::string> trace;  ///< the command line to run and sample; empty: none
  std::string output;              ///< empty or "-": standard output
  SamplingOptions sampling;
  FormatOptions format;
  std::optional<PythonVersion> abi;  ///< what the user takes the target for
  bool quiet = false;
  bool help = false;
  bool version = false;
  std::string layout_directory;  ///< of layout files to add to those built in; empty: none
  std::string log;               ///< for configure_logging; empty: not given
};

/// The options of a command line, without the program's own name. Throws Error{usage}, one line and its cure,
/// for every mistake; where help or version is asked for, only for unknown or repeated options.
[[nodiscard]] Options parse_options(std::span<const char* const> args);

/// Whether a command line, mistakes and all, asks to run a command: then its failures are those of env(1).
[[nodiscard]] bool asks_for_command(std::span<const char* const> args);

/// For --help: at most 100 columns, with a newline at the end.
[[nodiscard]] std::string help_text();

/// For --version: "sampler 0.1.0 (ABI list: 27 36 313t)" and a newline, as Pyflame words it.
[[nodiscard]] std::string version_text(std::span<const PythonVersion> supported);

}  // namespace sampler
