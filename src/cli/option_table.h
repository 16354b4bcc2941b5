#pragma once

#include <span>
#include <string>
#include <string_view>

namespace sampler {

/// The headings of --help.
enum class OptionGroup { target, sampling, output, other };

/// One option: how it is written and what --help says of it.
struct OptionSpec {
  char letter;             ///< '\0': long only
  std::string_view name;   ///< without the dashes
  std::string_view value;  ///< what stands for its value in --help; empty: it takes none
  OptionGroup group;
  std::string_view help;  ///< at most 70 columns

  [[nodiscard]] bool takes_value() const noexcept { return !value.empty(); }
  /// The shorter way to write it: "-p", "--hz".
  [[nodiscard]] std::string spelling() const;
};

/// All options, in the order of --help.
[[nodiscard]] std::span<const OptionSpec> option_table() noexcept;

/// Null where no option is called so. Whole names only: an abbreviation would change its meaning with the
/// next option.
[[nodiscard]] const OptionSpec* option_named(std::string_view name) noexcept;
[[nodiscard]] const OptionSpec* option_with_letter(char letter) noexcept;

/// "  -p, --pid PID" and what it does, a line for each of the group's options.
[[nodiscard]] std::string option_lines(OptionGroup group);

}  // namespace sampler
