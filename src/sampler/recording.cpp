#include "sampler/sampler/recording.h"

#include <algorithm>

namespace sampler {

void Recording::begin(const RunInfo& info) {
  for (auto* sink : sinks_) sink->begin(info);
}

void Recording::add(const Sample& sample) {
  summary_.samples += sample.count;
  if (sample.tid != Tid{}) threads_.insert(sample.tid);
  for (auto* sink : sinks_) sink->add(sample);
}

void Recording::note_widened(std::chrono::nanoseconds interval, std::uint64_t left_out) noexcept {
  summary_.left_out += left_out;
  summary_.widest_interval = std::max(summary_.widest_interval, interval);
}

RunSummary Recording::summary(std::chrono::nanoseconds elapsed) const {
  auto summary = summary_;
  ledger.report(summary);
  summary.elapsed = elapsed;
  summary.threads = threads_.size();
  summary.held = held.times();
  return summary;
}

}  // namespace sampler
