#include "sampler/process/own_turn.h"

#include <sched.h>
#include <sys/resource.h>

namespace sampler {
namespace {

/// How often the calling thread has lost its CPU.
std::optional<long> own_departures() noexcept {
  rusage usage{};
  if (::getrusage(RUSAGE_THREAD, &usage) != 0) return std::nullopt;
  return usage.ru_nvcsw + usage.ru_nivcsw;
}

}  // namespace

OwnTurn::OwnTurn() noexcept : departures_{own_departures()}, cpu_{::sched_getcpu()} {}

bool OwnTurn::lasts() const noexcept {
  return departures_ && own_departures() == departures_;
}

}  // namespace sampler
