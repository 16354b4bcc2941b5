#pragma once

#include <ostream>

#include "sampler/model/run.h"
#include "sampler/model/sample.h"
#include "sampler/model/stack_table.h"

namespace sampler {

/// Where samples go: one output format, or whatever else wants each sample.
class ProfileSink {
 public:
  ProfileSink() = default;
  ProfileSink(const ProfileSink&) = delete;
  ProfileSink& operator=(const ProfileSink&) = delete;
  virtual ~ProfileSink() = default;

  /// Once, before the first sample of a target.
  virtual void begin(const RunInfo&) {}
  virtual void add(const Sample& sample) = 0;
  /// The whole file as of now. Called every few seconds and at the end, so that the file on disk is always
  /// whole.
  virtual void write(std::ostream& out, const RunSummary& summary, const StackTable& stacks) const = 0;
};

}  // namespace sampler
