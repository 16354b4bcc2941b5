#include "sampler/sampler/recording.h"

namespace sampler {

void Recording::begin(const RunInfo& info) {
  for (auto* sink : sinks_) sink->begin(info);
}

void Recording::add(const Sample& sample) {
  summary_.samples += sample.count;
  if (sample.tid != Tid{}) threads_.emplace(sample.pid, sample.tid);
  for (auto* sink : sinks_) sink->add(sample);
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
