#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "sampler/cpython/py_string.h"
#include "sampler/cpython/python_runtime.h"
#include "sampler/memory/remote_memory.h"
#include "sampler/model/stack_table.h"

namespace sampler {

/// What makes a code object what a profile shows of it, as copied from the target and not decoded.
struct CodeCopy {
  RawString file;
  RawString name;
  std::vector<std::byte> line_table;
  std::int32_t first_line = 0;
  RemoteAddress bytecode;  ///< null where the bytecode is an object of its own
  std::int64_t unit_count = 0;

  friend bool operator==(const CodeCopy&, const CodeCopy&) = default;
};

/// A code object of the target, and the frames decoded from it so far.
class CodeObject {
 public:
  /// Whether an instruction as read from a frame can be one of this code; always, where its bytecode is an
  /// object of its own.
  [[nodiscard]] bool contains(std::uint64_t instruction) const noexcept;
  /// The frame at an instruction as read from a frame of this code; decoded once.
  [[nodiscard]] FrameId frame_at(std::uint64_t instruction, const Layout& layout, StackTable& stacks);

 private:
  friend class CodeCache;
  struct Identity {
    RemoteAddress file, name, line_table;
    std::int32_t first_line = 0;
    std::uint32_t version = 0;
    friend bool operator==(const Identity&, const Identity&) = default;
  };

  Identity identity_;
  CodeCopy copy_;
  std::uint64_t checked_in_ = 0;
  std::optional<std::pair<StringId, StringId>> texts_;  // name, file
  std::unordered_map<std::uint64_t, FrameId> frames_;
};

/// Code objects by address. A known one is looked at again in every reading, because an address may be used
/// again by another code object: by its version number where this Python gives each its own, else by all that
/// is shown of it.
class CodeCache {
 public:
  /// More than this many code objects at once start the cache anew.
  static constexpr std::size_t most_codes = 65536;
  /// Texts and tables copied in one reading, about at most: a hostile target must not keep us reading while
  /// it is held.
  static constexpr std::size_t most_bytes_per_reading = 16U << 20U;

  explicit CodeCache(const PythonRuntime& runtime) : runtime_{runtime} {}

  /// Code objects returned before this may go.
  void begin_tick();
  /// What was checked before this must be checked again.
  void begin_reading() {
    ++reading_;
    copied_ = 0;
  }

  /// The code object at an address; nullptr where there is none or it cannot be read. Valid until
  /// begin_tick().
  [[nodiscard]] CodeObject* find(RemoteMemory& memory, RemoteAddress address);

 private:
  const PythonRuntime& runtime_;
  std::uint64_t reading_ = 1;
  std::size_t copied_ = 0;
  std::unordered_map<std::uint64_t, std::unique_ptr<CodeObject>> codes_;
  std::vector<std::unique_ptr<CodeObject>> retired_;
};

}  // namespace sampler
