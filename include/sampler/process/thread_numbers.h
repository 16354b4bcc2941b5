#pragma once

#include <sys/types.h>

#include <optional>
#include <string_view>
#include <unordered_map>

#include "sampler/base/ids.h"
#include "sampler/base/unique_fd.h"

namespace sampler {

/// A thread, by its number in the PID namespace of its own process: what CPython and glibc know it by.
enum class InnerTid : pid_t {};

[[nodiscard]] constexpr pid_t number(InnerTid tid) noexcept {
  return static_cast<pid_t>(tid);
}

/// A thread's numbers in our PID namespace and in its own.
struct NamespaceNumbers {
  Tid ours{};
  InnerTid inner{};
  bool is_nested = false;  ///< its namespace lies within ours; where not, the two numbers are one

  friend bool operator==(const NamespaceNumbers&, const NamespaceNumbers&) = default;
};

/// What the line NSpid of a status text says; nothing where there is none or it is not in the kernel's form.
[[nodiscard]] std::optional<NamespaceNumbers> parse_namespace_numbers(std::string_view status);

/// Translates the numbers of one process's threads from its PID namespace to ours. Where the two are the same
/// nothing is read. Each thread it knows is looked at again before it is told (0.7 us; 20 us of those that no
/// file is kept open for, because that would take over half of the files that we may have), so the number of
/// one that ended is never taken for another's.
class ThreadNumbers {
 public:
  explicit ThreadNumbers(Pid pid);

  /// The process's PID namespace lies within ours.
  [[nodiscard]] bool is_nested() const noexcept { return is_nested_; }
  /// Allows one more look at the list of the process's threads: a process may go on for ever naming threads
  /// that it does not have.
  void begin_tick() noexcept { may_list_ = true; }
  /// The number in our namespace; Tid{0} where the process has no such thread.
  [[nodiscard]] Tid ours(InnerTid inner);

 private:
  struct Known {
    Tid ours{};
    UniqueFd comm;  ///< a file of this very thread: it can be read as long as the thread lives; may be none
  };

  [[nodiscard]] bool is_alive(InnerTid inner, const Known& thread) const;
  [[nodiscard]] Tid find(InnerTid inner);
  void list();
  void add(Tid ours);

  Pid pid_;
  bool is_nested_;
  bool may_list_ = true;
  std::unordered_map<pid_t, Known> known_;  ///< by inner number
};

}  // namespace sampler
