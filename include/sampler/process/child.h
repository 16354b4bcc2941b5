#pragma once

#include <csignal>
#include <span>
#include <string>

#include "sampler/base/ids.h"

namespace sampler {

/// The command could not be started: errno of execvp(3).
struct CommandError {
  int code = 0;
};

/// Starts a command with our standard streams, environment, process group and signal dispositions, and with
/// `mask` as its signal mask. The child is never killed by us. Throws CommandError where it cannot be
/// executed.
[[nodiscard]] Pid start_command(std::span<const std::string> command, const sigset_t& mask);

}  // namespace sampler
