#pragma once

#include <string_view>

#include "sampler/model/stack_table.h"

namespace sampler {

/// The frame that stands for what could not be read, such as <torn>.
[[nodiscard]] inline FrameId mark(StackTable& stacks, std::string_view text) {
  return stacks.intern(Frame{FrameKind::mark, stacks.intern(text), stacks.intern(""), 0});
}

}  // namespace sampler
