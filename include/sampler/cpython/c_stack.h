#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "sampler/base/remote_address.h"
#include "sampler/cpython/frame_walker.h"
#include "sampler/memory/remote_memory.h"

namespace sampler {

/// What is known of the C stack of a thread that stands still.
struct CStackBounds {
  RemoteAddress pointer;  ///< the stack pointer
  RemoteAddress pthread;  ///< the thread's struct pthread: above its stack, but for the first thread's

  /// Whether an address can be on the live part of this stack.
  [[nodiscard]] bool may_hold(RemoteAddress address) const noexcept {
    return address >= pointer && (pointer >= pthread || address < pthread);
  }
};

/// A thread's C stack from its stack pointer up to `end` (its struct pthread; null for the first thread,
/// whose stack ends where memory does), at most a megabyte of it.
[[nodiscard]] std::vector<std::byte> copy_c_stack(RemoteMemory& memory, RemoteAddress stack_pointer,
                                                  RemoteAddress end);

/// Whether a thread with this C stack runs the Python stack of a thread state: each evaluation loop of up to
/// 3.9 keeps its thread state and its frame on the C stack, so they are there from the innermost out. The
/// innermost may still be in a register. What is left over from earlier calls does not have them all.
[[nodiscard]] bool runs_on(std::span<const std::byte> c_stack, RemoteAddress thread_state,
                           const RawStack& stack);

}  // namespace sampler
