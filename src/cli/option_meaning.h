#pragma once

#include <functional>
#include <map>
#include <string>

#include "command_line.h"
#include "options.h"

namespace sampler {

/// The options given, by long name; the value of one that takes none is empty.
using GivenOptions = std::map<std::string, std::string, std::less<>>;

/// What the options say together. Throws Error{usage} for values out of range and for contradictions.
[[nodiscard]] Options meaning_of(const CommandLine& line, const GivenOptions& given);

}  // namespace sampler
