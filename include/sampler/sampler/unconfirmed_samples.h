#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "sampler/cpython/frame_walker.h"
#include "sampler/cpython/thread_lister.h"
#include "sampler/memory/overlay.h"
#include "sampler/model/sample.h"
#include "sampler/model/stack_table.h"
#include "sampler/sampler/ledger.h"
#include "sampler/sampler/recording.h"
#include "sampler/sampler/sampled_process.h"

namespace sampler {

/// What a tick hands out of a thread; of nobody where nobody held the GIL.
struct KeptSample {
  PythonThread thread;
  ThreadActivity activity;
  StackId stack{};
  StackEnd end{};
  std::uint64_t count = 1;
};

/// What came of the samples that were kept.
enum class Confirmation {
  proven,
  other_code,     ///< code objects were replaced meanwhile: the samples are marked
  other_program,  ///< the process runs another program: its ticks were never asked for
};

/// Keeps the samples of the ticks that are not known yet to be of one program and of the code objects that
/// they name.
class UnconfirmedSamples {
 public:
  using Clock = std::chrono::steady_clock;
  /// Ticks that come faster than this are confirmed together.
  static constexpr std::chrono::milliseconds shortest_interval{1};

  UnconfirmedSamples(SampledProcess& process, Recording& recording);

  /// A tick has begun.
  void begin(Ledger::TickId tick) { ticks_.push_back(tick); }
  /// Until the next confirm() or cancel().
  void keep(const KeptSample& sample) { samples_.push_back(sample); }
  /// Decodes the stack, and keeps it.
  void keep(const PythonThread& thread, const ThreadActivity& activity, const RawStack& stack);
  /// A thread whose stack is not known.
  void keep_unreadable(const PythonThread& thread, const ThreadActivity& activity);

  /// How many are kept.
  [[nodiscard]] std::size_t size() const noexcept { return samples_.size(); }
  /// Those kept since there were `first`.
  [[nodiscard]] std::span<const KeptSample> since(std::size_t first) const noexcept {
    return std::span{samples_}.subspan(first);
  }

  /// Whether there are ticks, and they must wait no longer; `interval` is theirs.
  [[nodiscard]] bool must_confirm(Clock::time_point now, std::chrono::nanoseconds interval) const;
  /// Hands out what was kept.
  [[nodiscard]] Confirmation confirm(Clock::time_point now);
  /// The program has ended: the ticks were never asked for.
  void cancel();
  /// Hands out a sample that is known to be of this program, without keeping it.
  void emit(const KeptSample& sample);

 private:
  SampledProcess& process_;
  Recording& recording_;
  std::vector<KeptSample> samples_;
  std::vector<Ledger::TickId> ticks_;
  Clock::time_point confirmed_at_;
  Overlay code_objects_;
};

}  // namespace sampler
