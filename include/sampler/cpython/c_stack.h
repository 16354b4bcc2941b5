#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "sampler/base/remote_address.h"
#include "sampler/cpython/frame_walker.h"
#include "sampler/cpython/python_runtime.h"
#include "sampler/memory/remote_memory.h"

namespace sampler {

/// What the C stack of a thread tells of an address.
enum class CStackPlace : std::uint8_t {
  its,      ///< it is on the live part of the stack, or of the one that the thread has changed to
  nobodys,  ///< it is on a part that is not in use: what lies there says nothing of this thread
  untold,   ///< another thread's stack may have it, or one that this thread has left for the time being
};

/// What is known of the C stack of a thread that stands still.
struct CStackBounds {
  RemoteAddress pointer;  ///< the stack pointer
  RemoteAddress pthread;  ///< the thread's struct pthread: above its stack, but for the first thread's
  std::optional<AddressRange> own{};  ///< the stack that the thread was made with; nothing where untold

  /// Whether an address can be on the live part of this stack.
  [[nodiscard]] bool may_hold(RemoteAddress address) const noexcept {
    return address >= pointer && (pointer >= pthread || address < pthread);
  }
  [[nodiscard]] CStackPlace place(RemoteAddress address) const noexcept;
};

/// The stack that the thread with this struct pthread was made with. glibc keeps that there, but for the
/// thread that executed the program: that one's is `first`. Nothing where it cannot be read.
[[nodiscard]] std::optional<AddressRange> find_c_stack(RemoteMemory& memory, RemoteAddress pthread,
                                                       const std::optional<AddressRange>& first);

/// A thread's C stack from its stack pointer up to `end` (its struct pthread; null for the first thread,
/// whose stack ends where memory does), at most a megabyte of it.
[[nodiscard]] std::vector<std::byte> copy_c_stack(RemoteMemory& memory, RemoteAddress stack_pointer,
                                                  RemoteAddress end);

/// The part of a C stack below its end that can be read, in use or not, at most a megabyte of it.
[[nodiscard]] std::vector<std::byte> copy_whole_c_stack(RemoteMemory& memory, const AddressRange& stack);

/// Whether a thread with this C stack runs the Python stack of a thread state: each evaluation loop of up to
/// 3.9 keeps its thread state and its frame on the C stack, so they are there from the innermost out. The
/// innermost may still be in a register. What is left over from earlier calls does not have them all.
[[nodiscard]] bool runs_on(std::span<const std::byte> c_stack, RemoteAddress thread_state,
                           const RawStack& stack);

}  // namespace sampler
