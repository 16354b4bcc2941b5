#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "sampler/cpython/c_stack.h"
#include "sampler/cpython/frame_walker.h"
#include "sampler/cpython/thread_lister.h"
#include "sampler/memory/overlay.h"
#include "sampler/sampler/sampled_process.h"

namespace sampler {

/// Reads the threads of a process one by one, from a copy of each one's own memory. What is read is proven by
/// nothing: that is up to who holds the thread.
class ThreadReader {
 public:
  explicit ThreadReader(SampledProcess& process) : process_{process} {}

  /// What was found out about moving states is forgotten.
  void begin_tick() { placed_.clear(); }

  /// One thread's stack as it is now; nothing where the thread state is another thread's by now. Where there
  /// are subinterpreters, it is that of all of the thread's states.
  [[nodiscard]] std::optional<RawStack> read(const PythonThread& thread);
  /// Reads a thread that is about to be held. While it runs its stack is worth nothing, but tells the blocks
  /// to copy at once while it is held, and has what does so in the caches: among 159 threads a hold at 1 kHz
  /// is 5 us shorter. What was read a moment ago is as good.
  void foresee(const PythonThread& thread);

  /// What was read last is proven, and its C stack, where it tells one, was this thread's.
  void trust(const PythonThread& thread) { copy_of(thread).trusted = thread.tid; }
  /// Whether that was so once: a state is hardly ever run by another thread than it names, and then mostly
  /// from its beginning.
  [[nodiscard]] bool is_trusted(const PythonThread& thread) const;

  /// Whether the state names another thread, as read last.
  [[nodiscard]] bool names_another(const PythonThread& thread);
  /// Whether a blocked thread that the GIL's words call the holder is the one that runs this stack, as read
  /// last.
  [[nodiscard]] bool is_run_by(const PythonThread& thread, const RawStack& stack);
  /// Whether a thread was found that runs this moving state, since begin_tick().
  [[nodiscard]] bool is_placed(RemoteAddress state) const;
  /// Nothing while the thread runs.
  [[nodiscard]] std::optional<CStackBounds> c_stack_of(Overlay& overlay, const PythonThread& thread);
  /// Whether another thread than the one with this C stack may run a stack that its state has
  /// (docs/adr/0002-without-one-gil.md).
  [[nodiscard]] bool may_be_anothers(Overlay& overlay, const PythonThread& thread, const CStackBounds& bounds,
                                     RemoteAddress c_stack);

  /// Once there are many copies, forgets those of other threads than these.
  void forget_ended(const std::vector<PythonThread>& threads) { sampler::forget_ended(copies_, threads); }

 private:
  struct ThreadCopy {
    explicit ThreadCopy(ProcessMemory& memory) : overlay{memory, 0} {}
    Overlay overlay;
    RemoteAddress pthread;            ///< that `own` is of
    std::optional<AddressRange> own;  ///< its C stack
    std::chrono::steady_clock::time_point read_at;
    Tid trusted{};
  };

  [[nodiscard]] ThreadCopy& copy_of(const PythonThread& thread);
  /// The stacks of all thread states that a thread runs: those listed last and those made since.
  [[nodiscard]] std::vector<InterpreterStack> read_parts(Overlay& overlay, const PythonThread& thread,
                                                         const std::optional<CStackBounds>& bounds);
  /// Adds the moving states that the thread with this C stack runs.
  void add_moving_states(Overlay& overlay, const CStackBounds& bounds, std::vector<InterpreterStack>& parts);

  SampledProcess& process_;
  std::unordered_map<std::uint64_t, ThreadCopy> copies_;  // by thread state
  std::vector<RemoteAddress> placed_;
};

}  // namespace sampler
