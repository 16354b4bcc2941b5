#include "sampler/sampler/late_stops.h"

#include <algorithm>
#include <utility>

namespace sampler {

void LateStops::add(const PythonThread& thread, const ThreadActivity& activity, Waiting waiting) {
  auto stop =
      std::find_if(stops_.begin(), stops_.end(), [&](const Stop& other) { return other.thread == thread; });
  if (stop == stops_.end()) stop = stops_.insert(stops_.end(), Stop{thread, activity, {}});
  stop->ticks.push_back(waiting);
}

bool LateStops::are_waited_for(Tid tid) const noexcept {
  return std::any_of(stops_.begin(), stops_.end(), [&](const Stop& stop) { return stop.thread.tid == tid; });
}

bool LateStops::is_open(Ledger::TickId tick) const {
  return std::any_of(stops_.begin(), stops_.end(), [&](const Stop& stop) {
    return std::any_of(stop.ticks.begin(), stop.ticks.end(),
                       [&](const Waiting& waiting) { return waiting.tick == tick; });
  });
}

std::vector<LateStops::Stop> LateStops::take(Tid tid) {
  std::vector<Stop> taken;
  std::erase_if(stops_, [&](Stop& stop) {
    if (stop.thread.tid != tid) return false;
    taken.push_back(std::move(stop));
    return true;
  });
  return taken;
}

std::vector<LateStops::Stop> LateStops::take_all() {
  return std::exchange(stops_, {});
}

std::optional<LateStops::Stop> LateStops::take_overdue(Time now) {
  const auto has_waited = [&](const Waiting& waiting) { return now - waiting.since >= longest_wait; };
  const auto stop = std::find_if(stops_.begin(), stops_.end(),
                                 [&](const Stop& each) { return has_waited(each.ticks.front()); });
  if (stop == stops_.end()) return std::nullopt;
  const auto last = std::find_if_not(stop->ticks.begin(), stop->ticks.end(), has_waited);
  Stop taken{stop->thread, stop->activity, {stop->ticks.begin(), last}};
  stop->ticks.erase(stop->ticks.begin(), last);
  if (stop->ticks.empty()) stops_.erase(stop);
  return taken;
}

std::optional<LateStops::Time> LateStops::next_overdue() const {
  std::optional<Time> next;
  for (const auto& stop : stops_) {
    const auto at = stop.ticks.front().since + longest_wait;
    if (!next || at < *next) next = at;
  }
  return next;
}

}  // namespace sampler
