#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <span>
#include <vector>

#include "cli/commands.h"
#include "cli/doctor_hint.h"
#include "cli/options.h"
#include "sampler/base/error.h"
#include "sampler/base/log.h"
#include "sampler/base/standard_streams.h"
#include "sampler/cpython/layout_catalog.h"
#include "sampler/process/trapped_calls.h"

namespace {

using namespace sampler;

int run_command(const Options& options) {
  switch (options.command) {
    case Command::record:
      return run_record(options);
    case Command::dump:
      return run_dump(options);
    case Command::doctor:
      return run_doctor(options);
  }
  return static_cast<int>(ErrorKind::internal);
}

int run(std::span<const char* const> arguments) {
  const auto options = parse_options(arguments);
  if (options.help) {
    print(help_text());
    return 0;
  }
  if (options.version) {
    print(version_text(LayoutCatalog{}.versions()));
    return 0;
  }
  if (!options.log.empty()) configure_logging(options.log);
  if (options.quiet) silence_logging();
  try {
    return run_command(options);
  } catch (const Error& error) {
    if (!options.pid) throw;
    throw with_doctor(error, *options.pid);
  }
}

/// With a command to run, its status is ours, so our own failures are those of env(1).
int failure_status(std::span<const char* const> arguments, ErrorKind kind) {
  constexpr int own_failure = 125;
  return asks_for_command(arguments) ? own_failure : static_cast<int>(kind);
}

}  // namespace

int main(int argc, char** argv) {
  reserve_standard_descriptors();
  const std::vector<const char*> arguments(argv + std::min(argc, 1), argv + argc);
  survive_trapped_calls();
  try {
    return run(arguments);
  } catch (const Error& error) {
    say(fmt::format("sampler: {}\n", error_line(error)));
    return failure_status(arguments, error.kind());
  } catch (const std::exception& error) {
    say(fmt::format("sampler: internal error: {}; please report it\n", printable(error.what())));
    return failure_status(arguments, ErrorKind::internal);
  }
}
