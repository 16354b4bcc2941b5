#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <ostream>
#include <string>

#include "sampler/base/unique_fd.h"

namespace sampler {

/// What became of the bytes.
enum class WriteOutcome {
  written,
  closed,  ///< the reader of a pipe went away: nobody wants more, and that is no error
};

/// Where a profile goes. It is checked when made, before anything is attached to, and written whole each
/// time.
class OutputFile {
 public:
  using Produce = std::function<void(std::ostream&)>;
  /// Asked while a pipe's reader is slow or not there yet, at least ten times a second; false gives up.
  using KeepWaiting = std::function<bool()>;

  /// Standard output for "-" and "". Throws Error{output} where it cannot be written; leaves no file behind.
  explicit OutputFile(std::string path);

  /// Whether write can be called again: a regular or new file is replaced whole, and its last whole content
  /// stays where a write fails. Anything else takes one write, at the end.
  [[nodiscard]] bool rewritable() const noexcept { return kind_ == Kind::file; }

  /// The descriptor whose reader may go away; -1 where there is none yet or it is no pipe's.
  [[nodiscard]] int watched_fd() const noexcept { return kind_ == Kind::descriptor ? fd_ : -1; }

  /// Replaces the whole content by what `produce` writes. Throws Error{output}. SIGPIPE must be ignored.
  WriteOutcome write(
      const Produce& produce, const KeepWaiting& keep_waiting = [] { return true; });

 private:
  enum class Kind { file, fifo, descriptor };

  void open_inherited(int fd);
  void open_path();
  void open_device();
  void open_file(std::optional<mode_t> mode_of_existing);
  [[nodiscard]] UniqueFd open_fifo(const KeepWaiting& keep_waiting) const;
  void replace_file(const Produce& produce) const;
  WriteOutcome write_stream(int fd, const Produce& produce, const KeepWaiting& keep_waiting) const;
  [[noreturn]] void fail(int code) const;

  std::string path_;    ///< as the user named it
  std::string target_;  ///< of a file: the name that is replaced, symlinks followed
  Kind kind_ = Kind::descriptor;
  UniqueFd device_;
  int fd_ = -1;  ///< of a descriptor: device_'s, or one that is not ours to close
};

}  // namespace sampler
