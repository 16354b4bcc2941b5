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
/// time: by a rename, or in place where an existing file may be written but not be replaced (one that is a
/// mount point, that its directory or a sticky one protects). In place is not atomic: who reads, or we where
/// we are killed, may meet half of it.
class OutputFile {
 public:
  using Produce = std::function<void(std::ostream&)>;
  /// Asked while a pipe's reader is slow or not there yet, at least ten times a second; false gives up.
  using KeepWaiting = std::function<bool()>;

  /// Standard output for "-" and "". Throws Error{output} where it cannot be written; leaves no file behind.
  explicit OutputFile(std::string path);

  /// Whether write can be called again, for a regular or new file. Anything else takes one write, at the end.
  [[nodiscard]] bool rewritable() const noexcept {
    return kind_ == Kind::file || kind_ == Kind::file_in_place;
  }
  /// Whether the path leads to what the last write that succeeded has written, which one that failed has
  /// left alone.
  [[nodiscard]] bool keeps_last_write() const noexcept;

  /// The descriptor whose reader may go away; -1 where there is none yet or it is no pipe's.
  [[nodiscard]] int watched_fd() const noexcept { return kind_ == Kind::descriptor ? fd_ : -1; }

  /// Replaces the whole content by what `produce` writes. Throws Error{output}. SIGPIPE must be ignored.
  WriteOutcome write(
      const Produce& produce, const KeepWaiting& keep_waiting = [] { return true; });

 private:
  enum class Kind { file, file_in_place, fifo, descriptor };
  /// What tells a file from all others.
  struct Identity {
    dev_t device;
    ino_t inode;
  };

  void open_inherited(int fd);
  void open_path();
  void open_device();
  void open_file(bool is_there);
  [[nodiscard]] UniqueFd open_fifo(const KeepWaiting& keep_waiting) const;
  void replace_file(const Produce& produce);
  /// Where the name cannot be given to another file after all: false where it cannot be written either.
  [[nodiscard]] bool go_on_in_place(const Produce& produce);
  void write_in_place(const Produce& produce);
  WriteOutcome write_stream(int fd, const Produce& produce, const KeepWaiting& keep_waiting) const;
  [[noreturn]] void fail(int code) const;

  std::string path_;    ///< as the user named it
  std::string target_;  ///< of a file: the name that is replaced, symlinks followed
  Kind kind_ = Kind::descriptor;
  UniqueFd opened_;  ///< a device, or a file that is written in place
  int fd_ = -1;      ///< of a descriptor: opened_'s, or one that is not ours to close
  std::optional<Identity> last_write_;
};

}  // namespace sampler
