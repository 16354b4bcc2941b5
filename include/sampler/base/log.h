#pragma once

#include <string_view>

namespace sampler {

/// The layers that log, each with a level of its own.
enum class LogLayer { process, memory, elf, cpython, sampler, cli };
enum class LogLevel { debug, info, warning, error };

/// Sets levels from "cpython=debug,elf=info" or one level for all ("debug"); throws Error{usage} on anything
/// else.
void configure_logging(std::string_view specification);

/// Errors only, whatever configure_logging said.
void silence_logging();

/// One line to standard error, where the layer's level allows it. Never called inside a sample.
void log(LogLayer layer, LogLevel level, std::string_view text);

}  // namespace sampler
