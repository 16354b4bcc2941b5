#pragma once

#include <csignal>
#include <vector>

#include "sampler/base/unique_fd.h"

namespace sampler {

/// A signal sent to us.
struct ReceivedSignal {
  int number = 0;
  bool from_terminal = false;  ///< the whole foreground group got it, not only we
};

/// Turns INT, TERM, HUP, QUIT and TSTP, and apart from them CHLD, into readable file descriptors. HUP stays
/// ignored where it was (nohup).
class SignalInbox {
 public:
  SignalInbox();

  /// Readable when a signal has come.
  [[nodiscard]] int fd() const noexcept { return signals_.get(); }
  /// Readable when a child or a traced thread has changed its state since clear_child_changes().
  [[nodiscard]] int child_fd() const noexcept { return children_.get(); }
  [[nodiscard]] std::vector<ReceivedSignal> take();
  void clear_child_changes();

  /// The mask of before: what a command we start must run with.
  [[nodiscard]] const sigset_t& original_mask() const noexcept { return original_; }

 private:
  sigset_t original_{};
  UniqueFd signals_;
  UniqueFd children_;
};

/// While this lives signals do what they did before there was an inbox: Ctrl-C ends us, also in a system call
/// that only a deadly signal interrupts.
class OpenInbox {
 public:
  explicit OpenInbox(const SignalInbox& inbox) noexcept;
  OpenInbox(const OpenInbox&) = delete;
  OpenInbox& operator=(const OpenInbox&) = delete;
  ~OpenInbox();

 private:
  sigset_t closed_{};
};

}  // namespace sampler
