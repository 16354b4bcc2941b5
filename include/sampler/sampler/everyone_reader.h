#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "sampler/cpython/frame_walker.h"
#include "sampler/cpython/gil.h"
#include "sampler/cpython/thread_lister.h"
#include "sampler/cpython/thread_stack.h"
#include "sampler/memory/overlay.h"
#include "sampler/model/sample.h"
#include "sampler/process/thread_watch.h"
#include "sampler/sampler/sampled_process.h"
#include "sampler/sampler/sampling_options.h"

namespace sampler {

/// A thread that was blocked before everyone was read, and how often it had had a CPU by then.
struct Bystander {
  PythonThread thread;
  Turns turns;
};
using Bystanders = std::unordered_map<std::uint64_t, Bystander>;  // by thread state

/// A thread's stack that goes on from sample to sample.
struct LastingStack {
  ThreadStack stack;
  std::uint32_t sample = 0;  ///< of the overlay, when it was walked last
};

/// All that was read at one moment, with the GILs' states before and after.
struct Reading {
  /// One thread state's stack.
  struct Part {
    PythonThread thread;
    ThreadActivity activity;
    RawStack stack;
  };
  /// The one stack of a thread in a process with one interpreter.
  struct Lasting {
    PythonThread thread;
    ThreadActivity activity;
    LastingStack* lasting = nullptr;  ///< null where the reading has frames enough without it
  };

  std::vector<GilState> before, after;
  std::vector<PythonThread> threads;
  std::vector<Lasting> lasting;  ///< where there is one interpreter
  std::vector<Part> parts;       ///< else: one for each thread state, a thread may have several
};

/// Reads all threads of a process at one moment, running, in a batch that starts and ends with the GIL's
/// words.
class EveryoneReader {
 public:
  EveryoneReader(SampledProcess& process, const SamplingOptions& options);

  /// Nothing where memory could not be read or the list of threads was damaged. The stacks are those of the
  /// wanted threads that the GIL's words may prove, and of the bystanders.
  [[nodiscard]] std::optional<Reading> read(const Bystanders& bystanders = {});
  /// Whether a reading of threads that run came in one piece, as far as can be told.
  [[nodiscard]] bool is_whole(const Reading& reading) const;

  /// What was copied; more of it may be read, but then has_missed() tells nothing.
  [[nodiscard]] Overlay& copy() noexcept { return copy_; }
  /// Whose words guard what is copied.
  [[nodiscard]] const GilGuard& gils() const noexcept { return gils_; }

  /// As far as the options ask for it.
  [[nodiscard]] ThreadActivity activity_of(const PythonThread& thread, const std::vector<GilState>& gils);
  /// Whether a thread state of a free-threaded Python ran when everyone was read last.
  [[nodiscard]] bool is_attached(RemoteAddress state);
  /// Whether the mode has such threads.
  [[nodiscard]] bool is_wanted(const ThreadActivity& activity) const;
  /// Whether nobody runs Python, and that is to be reported.
  [[nodiscard]] bool is_idle(const std::vector<PythonThread>& threads, const std::vector<GilState>& gils);

  /// Once there are many stacks, forgets those of other threads than these.
  void forget_ended(const std::vector<PythonThread>& threads) { sampler::forget_ended(lasting_, threads); }

 private:
  /// Guards the GILs of the interpreters that there are; false where they are others than before.
  [[nodiscard]] bool guard_gils();
  /// Adds the stack of one thread.
  void add_stack(Reading& reading, const PythonThread& thread, const ThreadActivity& activity);

  SampledProcess& process_;
  SamplingOptions options_;
  GilGuard gils_;
  Overlay copy_;
  std::unordered_map<std::uint64_t, LastingStack> lasting_;  // by thread state
  std::vector<std::uint32_t> unread_;                        // kept for its memory only
};

/// Walks a stack on, as the overlay has its thread state now.
void walk_on(LastingStack& lasting, SampledProcess& process, Overlay& overlay, RemoteAddress state,
             Motion motion);

}  // namespace sampler
