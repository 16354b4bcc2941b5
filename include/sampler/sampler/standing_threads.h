#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "sampler/base/ids.h"
#include "sampler/cpython/gil.h"
#include "sampler/cpython/thread_lister.h"
#include "sampler/memory/overlay.h"
#include "sampler/model/stack_table.h"
#include "sampler/sampler/everyone_reader.h"
#include "sampler/sampler/sampled_process.h"
#include "sampler/sampler/sampling_options.h"
#include "sampler/sampler/unconfirmed_samples.h"

namespace sampler {

/// What stands while one thread holds the only GIL and the words of it do not change: the frames of all
/// others. Ticks that come fast then look at the holder alone.
class StandingThreads {
 public:
  using Clock = std::chrono::steady_clock;
  /// How long everyone is not looked at, where the GIL's words tell that nobody but its holder has run.
  static constexpr std::chrono::milliseconds longest{10};

  StandingThreads(SampledProcess& process, const GilGuard& gils, const SamplingOptions& options,
                  UnconfirmedSamples& samples, StackTable& stacks);

  /// Takes note of who stands after a reading of everyone that had these stacks, if somebody does.
  void note(const Reading& reading, Overlay& everyone, std::span<const KeptSample> stacks,
            Clock::time_point now);
  /// Copies what is predicted of the holder. False where it may be another, or others may have run, or nobody
  /// stands.
  [[nodiscard]] bool fetch_holder(Clock::time_point now);
  /// Of the one that was fetched.
  [[nodiscard]] const PythonThread& holder() const noexcept { return standing_->holder; }
  /// Keeps the fetched holder's stack, whether it runs or not; again where it was torn, `most_tries` times.
  /// False as fetch_holder().
  [[nodiscard]] bool keep_unheld_holder(Clock::time_point now, int most_tries);
  /// The tick has the holder's stack: the others' are handed out later, for all such ticks at once.
  void count_tick() noexcept { ++standing_->ticks; }
  /// Keeps what stood, for the ticks since the last time.
  void hand_out();
  /// Nobody stands any more.
  void forget() noexcept { standing_.reset(); }

 private:
  struct Standing {
    std::vector<GilState> gils;  ///< the one
    PythonThread holder;
    Tid native_number{};  ///< as its state has it; 0 where it has none
    std::vector<KeptSample> others;
    Clock::time_point since;
    std::uint64_t ticks = 0;  ///< that the others are still to be handed out for
  };

  SampledProcess& process_;
  const GilGuard& gils_;
  bool may_stand_;  ///< as the options are
  UnconfirmedSamples& samples_;
  StackTable& stacks_;
  std::optional<Standing> standing_;
  Overlay copy_;         // of the holder
  LastingStack holder_;  // as of copy_
};

}  // namespace sampler
