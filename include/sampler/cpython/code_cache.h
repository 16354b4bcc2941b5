#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "sampler/cpython/py_string.h"
#include "sampler/cpython/python_runtime.h"
#include "sampler/memory/remote_memory.h"
#include "sampler/model/stack_table.h"

namespace sampler {

/// A line table, shared by the copies of its code object.
struct LineTableCopy {
  std::shared_ptr<const std::vector<std::byte>> bytes;  ///< null where it is too long to be copied

  friend bool operator==(const LineTableCopy& a, const LineTableCopy& b) {
    return a.bytes == b.bytes || (a.bytes && b.bytes && *a.bytes == *b.bytes);
  }
};

/// What makes a code object what a profile shows of it, as copied from the target and not decoded.
struct CodeCopy {
  RawString file;
  RawString name;
  LineTableCopy line_table;
  std::int32_t first_line = 0;
  RemoteAddress bytecode;  ///< null where the bytecode is an object of its own
  std::int64_t unit_count = 0;
  std::int32_t flags = 0;         ///< co_flags; 0 where not laid out
  std::uint64_t frame_words = 0;  ///< that its frames have for locals and value stack; 0 where not laid out

  friend bool operator==(const CodeCopy&, const CodeCopy&) = default;
};

/// A code object of the target, and the frames decoded from it so far.
class CodeObject {
 public:
  /// Whether an instruction as read from a frame can be one of this code; always, where its bytecode is an
  /// object of its own.
  [[nodiscard]] bool contains(std::uint64_t instruction) const noexcept;
  /// Whether a frame that has this instruction has executed one; true where its bytecode is an object of its
  /// own.
  [[nodiscard]] bool has_begun_at(std::uint64_t instruction) const noexcept {
    return copy_.bytecode.is_null() || instruction >= copy_.bytecode.value;
  }
  /// No code of the program, but what CPython itself runs to check what an __init__ returned (3.13 on).
  [[nodiscard]] bool is_internal() const noexcept { return is_internal_; }
  /// Its own bytecode; null where that is an object of its own.
  [[nodiscard]] RemoteAddress bytecode() const noexcept { return copy_.bytecode; }
  /// Whether a call of it makes a generator or coroutine, and goes on there.
  [[nodiscard]] bool makes_generator() const noexcept {
    constexpr std::int32_t kinds = 0x20 | 0x80 | 0x200;  // CO_GENERATOR, CO_COROUTINE, CO_ASYNC_GENERATOR
    return (copy_.flags & kinds) != 0;
  }
  /// What its frames have for locals and value stack, in words; 0 where nothing tells.
  [[nodiscard]] std::uint64_t frame_words() const noexcept { return copy_.frame_words; }
  /// Whether a frame of it, copied while its thread ran, said of itself that it calls: another frame named it
  /// its caller. True where that has just become too much to be believed.
  bool note_silence(bool is_silent) noexcept {
    silences_ = is_silent ? silences_ + 1 : 0;
    return silences_ == most_silences;
  }
  /// It has said so often in a row that it calls nothing that it cannot be true: a JIT's code does not keep
  /// it.
  [[nodiscard]] bool is_silent() const noexcept { return silences_ >= most_silences; }
  /// It may be so.
  [[nodiscard]] bool may_be_silent() const noexcept { return silences_ >= most_silences / 8; }
  /// An instruction of it was seen in a call of a frame that had begun: of a function's, or of a generator's.
  void note_call(std::uint64_t instruction, bool of_generator) {
    auto& seen = calls_[instruction];
    (of_generator ? seen.generators : seen.functions) = true;
  }
  /// Whether all that an instruction has been seen to call are functions.
  [[nodiscard]] bool calls_functions(std::uint64_t instruction) const {
    const auto seen = calls_.find(instruction);
    return seen != calls_.end() && seen->second.functions && !seen->second.generators;
  }
  /// The array of the threads' copies of the bytecode, as of the reading at work; null where there is none.
  [[nodiscard]] RemoteAddress thread_bytecode() const noexcept { return thread_bytecode_; }
  /// The frame at an instruction as read from a frame of this code; decoded once.
  [[nodiscard]] FrameId frame_at(std::uint64_t instruction, const Layout& layout, StackTable& stacks);

 private:
  friend class CodeCache;
  struct Callees {
    bool functions = false, generators = false;
  };
  /// Of a frame that does tell it is false every other time, at most.
  static constexpr std::uint32_t most_silences = 64;
  struct Identity {
    RemoteAddress file, name, line_table;
    std::int32_t first_line = 0;
    std::uint32_t version = 0;
    std::uint64_t epoch = 0;
    friend bool operator==(const Identity&, const Identity&) = default;
    /// Whether it can be that of the same code object, whenever the two were read.
    [[nodiscard]] bool may_be(Identity other) const noexcept {
      other.epoch = epoch;
      return *this == other;
    }
  };

  RemoteAddress address_;
  Identity identity_;
  CodeCopy copy_;
  RemoteAddress thread_bytecode_;
  bool is_internal_ = false;
  std::uint64_t checked_in_ = 0;
  std::uint64_t owed_in_ = 0;                           ///< the period that its next check is owed to
  std::uint64_t survived_in_ = 0;                       ///< the last period that it was found the same in
  std::uint32_t survived_ = 0;                          ///< how many
  std::optional<std::pair<StringId, StringId>> texts_;  // name, file
  std::unordered_map<std::uint64_t, FrameId> frames_;
  std::unordered_map<std::uint64_t, Callees> calls_;  // by instruction
  std::uint32_t silences_ = 0;                        // in a row
};

/// Code objects by address. A known one is looked at again in every reading, because an address may be used
/// again by another code object: by its version number where this Python gives each its own, else by all that
/// is shown of it. One that has been the same for some time may be looked at later, once for many readings:
/// what is the same before and after was so in between.
class CodeCache {
 public:
  /// More than this many code objects at once start the cache anew: some 5 MB, unless they are large.
  static constexpr std::size_t most_codes = 8192;
  /// A longer line table is copied once: later its length and its ends tell whether it is the same. Of a
  /// module of 230,000 statements that held 3.11 for 1.2 ms each time.
  static constexpr std::size_t large_line_table = 64U << 10U;
  /// A longer one is not copied: its code object's frames have the first line.
  static constexpr std::size_t most_line_table_bytes = 16U << 20U;
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

  /// A function was found not to tell what it calls.
  void count_silent() noexcept { ++silent_; }
  /// How many were, since this was asked last.
  [[nodiscard]] std::uint64_t take_silent() noexcept { return std::exchange(silent_, 0); }

  /// Puts off the check of code objects without a version too: what came and went between two checks is not
  /// noticed then.
  void let_all_wait() noexcept { may_all_wait_ = true; }
  /// Versions seen before this tell nothing any more: each interpreter counts its own.
  void forget_versions() noexcept { ++epoch_; }

  /// The code object at an address; nullptr where there is none or it cannot be read. Valid until
  /// begin_tick().
  [[nodiscard]] CodeObject* find(RemoteMemory& memory, RemoteAddress address);
  /// As find(), but a code object that has lasted is not looked at before confirm().
  [[nodiscard]] CodeObject* find_lasting(RemoteMemory& memory, RemoteAddress address);
  /// As find_lasting(), and nothing is read: nullptr where the code object is not known, or is young.
  [[nodiscard]] CodeObject* find_known(RemoteAddress address);
  /// Whether what was found before is still at its address; of one that has lasted, confirm() tells.
  [[nodiscard]] bool is_same(RemoteMemory& memory, CodeObject& code) {
    return code.checked_in_ == reading_ || owe(code) || find(memory, code.address_) == &code;
  }
  /// Whether confirm() has anything to look at.
  [[nodiscard]] bool must_confirm() const noexcept { return was_replaced_ || !owed_.empty(); }
  /// Looks at all code objects whose check is owed. False where one was replaced: what was read since the
  /// last confirm() proves nothing.
  [[nodiscard]] bool confirm(RemoteMemory& memory);
  /// Changes when code objects that were found before may be gone.
  [[nodiscard]] std::uint64_t generation() const noexcept { return generation_; }

 private:
  /// Puts the check off; false where the code object has not lasted yet.
  [[nodiscard]] bool owe(CodeObject& code);
  /// Notes that a known code object was found the same.
  void found_same(CodeObject& code) const noexcept;
  /// Notes that at the place of a known code object is another, that looks the same or not.
  void note_replaced(CodeObject& code);
  void retire(std::unique_ptr<CodeObject> code);
  /// The line table of a code object; nothing where it is none, or cannot be read. Of the `known` one at the
  /// same place it may be taken.
  [[nodiscard]] std::optional<LineTableCopy> copy_line_table(RemoteMemory& memory, RemoteAddress table,
                                                             const CodeObject* known);

  const PythonRuntime& runtime_;
  std::uint64_t reading_ = 1;
  std::uint64_t period_ = 1;       // between two confirm()
  std::vector<CodeObject*> owed_;  // of this period
  bool may_all_wait_ = false;
  std::uint64_t silent_ = 0;
  bool was_replaced_ = false;  // one of them
  std::uint64_t epoch_ = 0;
  std::uint64_t generation_ = 0;
  std::size_t copied_ = 0;
  std::unordered_map<std::uint64_t, std::unique_ptr<CodeObject>> codes_;
  std::vector<std::unique_ptr<CodeObject>> retired_;
};

}  // namespace sampler
