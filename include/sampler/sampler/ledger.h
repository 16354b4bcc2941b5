#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "sampler/model/run.h"

namespace sampler {

/// Accounts for every tick: asked = taken + late + failed. A tick stays open while a stop it waits for has
/// not come.
class Ledger {
 public:
  using TickId = std::uint64_t;

  /// A tick was asked for; it is open until each retain() and this have their release().
  [[nodiscard]] TickId open();
  /// Something of the tick is still to come.
  void retain(TickId tick) { ++open_.at(tick).users; }
  void release(TickId tick);
  /// The tick will count as failed, for the first reason given.
  void fail(TickId tick, TickFailure reason);
  [[nodiscard]] bool has_failed(TickId tick) const { return open_.at(tick).failure.has_value(); }
  /// The target had ended: the tick was never asked for. Ends it whoever retains it.
  void cancel(TickId tick);
  /// Ticks that were missed.
  void add_late(std::uint64_t ticks);

  /// Fills asked, taken, late and failed.
  void report(RunSummary& summary) const;

 private:
  struct OpenTick {
    int users = 1;
    std::optional<TickFailure> failure;
  };

  TickId next_ = 0;
  std::map<TickId, OpenTick> open_;
  RunSummary counts_;
};

}  // namespace sampler
