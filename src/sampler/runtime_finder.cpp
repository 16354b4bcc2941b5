#include "sampler/sampler/runtime_finder.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "sampler/cpython/runtime_state.h"

namespace sampler {
namespace {

using namespace std::chrono_literals;

/// Between two looks at the words of runtimes that are not initialised.
constexpr auto look_interval = 100ms;

/// Between two parts of the mappings: a part takes 10 us, and 75 us where the paths are long.
constexpr auto part_interval = 10ms;

/// Between two readings of the mappings; each time that one has led to a new search, it is doubled.
constexpr auto scan_interval = 1s;
constexpr std::size_t most_doublings = 6;

}  // namespace

void RuntimeFinder::forget() {
  candidates_.clear();
  error_.reset();
  is_settled_ = false;
  has_new_file_ = false;
  scan_.reset();
  new_searches_ = 0;
}

void RuntimeFinder::locate(RemoteMemory& memory) {
  auto located = locate_runtimes(*process_, memory, *catalog_);
  std::erase_if(candidates_, [](const Candidate& candidate) { return !candidate.is_handed_out; });
  for (auto& [runtime, path] : located.candidates) {
    if (!is_handed_out(runtime)) candidates_.push_back({std::move(runtime), false});
  }
  error_ = std::move(located.error);
  tid_offset_ = located.tid_offset;
  has_new_file_ = false;
  is_settled_ = located.is_settled && !candidates_.empty();
  texts_ = std::move(located.texts);
  // Then any is new to the next reading of the mappings.
  if (!is_settled_) texts_.clear();
}

bool RuntimeFinder::is_handed_out(const PythonRuntime& runtime) const {
  return std::any_of(candidates_.begin(), candidates_.end(), [&](const Candidate& candidate) {
    return candidate.is_handed_out && candidate.runtime.interpreters_head == runtime.interpreters_head;
  });
}

std::vector<PythonRuntime> RuntimeFinder::take_initialised(RemoteMemory& memory) {
  std::vector<PythonRuntime> found;
  for (auto& candidate : candidates_) {
    if (is_handed_out(candidate.runtime) || !is_initialised(memory, candidate.runtime)) continue;
    candidate.is_handed_out = true;
    found.push_back(candidate.runtime);
  }
  return found;
}

std::vector<PythonRuntime> RuntimeFinder::find(RemoteMemory& memory) {
  if (!is_settled_ || has_new_file_) locate(memory);
  next_look_ = Clock::now() + look_interval;
  next_scan_ = std::max(next_scan_, Clock::now() + scan_interval);
  return take_initialised(memory);
}

void RuntimeFinder::scan(Clock::time_point now) {
  if (!scan_) {
    if (now < next_scan_) return;
    auto reader = MapsReader::open(process_->pid());
    if (!reader) return;
    scan_.emplace(std::move(*reader));
    scanned_.clear();
  }
  const auto goes_on = scan_->step([&](const FileMapping& mapping) {
    if (may_be_interpreter(mapping)) scanned_.push_back(mapping.start);
    return true;
  });
  if (goes_on && *goes_on) return;
  scan_.reset();
  next_scan_ = now + scan_interval * (1U << std::min(new_searches_, most_doublings));
  has_new_file_ = !std::includes(texts_.begin(), texts_.end(), scanned_.begin(), scanned_.end());
  if (has_new_file_) ++new_searches_;
}

std::vector<PythonRuntime> RuntimeFinder::look_on(RemoteMemory& memory, Clock::time_point now) {
  scan(now);
  next_look_ = now + (scan_ ? part_interval : look_interval);
  return take_initialised(memory);
}

void RuntimeFinder::take_back(const PythonRuntime& runtime) {
  for (auto& candidate : candidates_) {
    if (candidate.runtime.interpreters_head == runtime.interpreters_head) candidate.is_handed_out = false;
  }
}

Error RuntimeFinder::why_none(RemoteMemory& memory) const {
  if (error_ || candidates_.empty()) {
    return error_.value_or(
        Error{ErrorKind::not_python, fmt::format("process {} is not a Python", number(process_->pid()))});
  }
  const auto is_ending = [&](const Candidate& candidate) { return is_finalizing(memory, candidate.runtime); };
  const auto ending = std::find_if(candidates_.begin(), candidates_.end(), is_ending);
  const auto& shown = ending == candidates_.end() ? candidates_.front() : *ending;
  const auto text = fmt::format("process {} has Python {}, ", number(process_->pid()),
                                to_string(shown.runtime.layout->version));
  if (ending != candidates_.end()) {
    return Error{ErrorKind::not_python, text + "which is ending and runs no more of the program",
                 "nothing is left to sample; if it does not end, gdb -p shows where it hangs"};
  }
  return Error{ErrorKind::not_python, text + "which has not been initialised, or has ended",
               "a program that starts, or only may run Python, can be tried again in a moment"};
}

}  // namespace sampler
