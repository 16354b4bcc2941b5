#pragma once

#include <cstdint>

namespace sampler {

/// An interned text of a StackTable.
enum class StringId : std::uint32_t {};
/// An interned Frame of a StackTable.
enum class FrameId : std::uint32_t {};

/// What a frame stands for. A mark is no call: it says what is wrong or missing at this place of the stack.
enum class FrameKind : std::uint8_t { python, mark };

/// One place in one function. A mark has its text ("<too deep>") as name, no file and line 0.
struct Frame {
  FrameKind kind = FrameKind::python;
  StringId name{};
  StringId file{};
  std::uint32_t line = 0;  ///< 0: the instruction belongs to no line

  friend bool operator==(const Frame&, const Frame&) = default;
};

}  // namespace sampler
