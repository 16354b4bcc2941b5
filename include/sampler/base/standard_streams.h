#pragma once

#include <chrono>
#include <string_view>

namespace sampler {

/// Takes the places of standard descriptors that are closed, so that no file that is opened later lands
/// there. Reading and writing them goes on to fail with EBADF, and a command finds them closed.
void reserve_standard_descriptors() noexcept;

/// The one way to standard error. What cannot be written (a terminal that has gone, a full disk, a dead
/// reader) is dropped. A reader that takes nothing is waited for, at most `patience`, and not again until it
/// takes something. No SIGPIPE is raised.
void say(std::string_view text, std::chrono::milliseconds patience = std::chrono::seconds{1}) noexcept;

/// All of a text to standard output, now. A reader who has gone away wants no more, and that is no error.
/// Throws Error{output} where it cannot be written.
void print(std::string_view text);

}  // namespace sampler
