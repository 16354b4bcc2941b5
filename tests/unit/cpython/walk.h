#pragma once

#include <string>
#include <vector>

#include "fake_python.h"
#include "sampler/cpython/frame_walker.h"
#include "sampler/cpython/thread_stack.h"

namespace sampler {

using Texts = std::vector<std::string>;

/// A version's Python, its code cache and what a walk of it found, decoded.
class Walk {
 public:
  explicit Walk(PythonVersion version) : python{version} {}

  RawStack from(RemoteAddress innermost_frame) { return of_thread(python.add_thread(innermost_frame)); }
  RawStack of_thread(RemoteAddress thread) {
    codes_.begin_reading();
    return walk_frames(python.memory, python.runtime, codes_, thread);
  }
  /// The frames of a decoded stack, root first: "name:line".
  Texts text(const RawStack& stack) {
    Texts texts;
    for (const auto id : stacks.frames_of(decode_stack(stack, python.layout, stacks))) {
      const auto& frame = stacks.frame(id);
      const std::string name{stacks.text(frame.name)};
      texts.push_back(frame.kind == FrameKind::mark ? name : name + ":" + std::to_string(frame.line));
    }
    return texts;
  }

  FakePython python;
  StackTable stacks;

 private:
  CodeCache codes_{python.runtime};
};

}  // namespace sampler
