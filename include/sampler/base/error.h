#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace sampler {

/// The classes of failure; each is an exit status of the program (docs/exit-status.md).
enum class ErrorKind : int {
  internal = 1,
  usage = 2,
  no_process = 3,
  permission = 4,
  not_python = 5,
  unsupported_python = 6,
  already_traced = 7,
  output = 8,
  no_stack = 9,
};

/// Why something could not be set up, with its cure. Thrown while setting up only; sampling returns values.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& what, std::string hint = {});

  [[nodiscard]] ErrorKind kind() const noexcept { return kind_; }
  /// What the user can do about it; may be empty.
  [[nodiscard]] const std::string& hint() const noexcept { return hint_; }

 private:
  ErrorKind kind_;
  std::string hint_;
};

/// A text as a single line of UTF-8 that cannot steer a terminal: controls (C0, C1, DEL) and bytes that are
/// no UTF-8 become '?'. Names and paths of a target are its own to choose.
[[nodiscard]] std::string printable(std::string_view text);

/// What and its cure in one printable line, as users see it.
[[nodiscard]] std::string error_line(const Error& error);

/// strerror(code) as a string, without its locale.
[[nodiscard]] std::string errno_text(int code);

}  // namespace sampler
