#include "sampler/sampler/everyone_reader.h"

#include <algorithm>

namespace sampler {

void walk_on(LastingStack& lasting, SampledProcess& process, Overlay& overlay, RemoteAddress state,
             Motion motion) {
  if (lasting.sample + 1 != overlay.sample()) lasting.stack.forget();
  lasting.stack.walk(overlay, process.runtime, process.codes, state, motion);
  lasting.sample = overlay.sample();
}

EveryoneReader::EveryoneReader(SampledProcess& process, const SamplingOptions& options)
    : process_{process}, options_{options}, gils_{process.runtime}, copy_{process.memory} {}

std::optional<Reading> EveryoneReader::read(const Bystanders& bystanders) {
  process_.codes.begin_reading();
  if (!copy_.fetch(gils_.before(), gils_.after())) {
    // A subinterpreter may have ended, and its GIL with it.
    gils_.guard({});
    return std::nullopt;
  }
  Reading reading;
  reading.before = gils_.state_before();
  auto& roster = process_.roster;
  const auto may_hold_gil = [&](RemoteAddress state) {
    return gils_.has_gil() ? is_holder(reading.before, state) || is_last_holder(reading.before, state)
                           : is_attached(state);
  };
  if (!roster.update(copy_, may_hold_gil) || !guard_gils()) return std::nullopt;
  reading.threads = roster.threads();
  const bool are_counted = gils_.has_gil() && count_switches(reading.before);
  for (const auto& thread : reading.threads) {
    // Who held the GIL last is not proven by its words: the caller settles that thread by itself.
    const bool may_run = !are_counted || is_last_holder(reading.before, thread.state);
    const bool is_settled_later =
        may_run && options_.hold != Hold::none && !bystanders.contains(thread.state.value);
    if (is_unplaced(thread) || is_settled_later) continue;
    const auto activity = activity_of(thread, reading.before);
    if (is_wanted(activity)) add_stack(reading, thread, activity);
  }
  if (copy_.has_missed()) {
    process_.memory.read_batch(gils_.after(), unread_);
    if (!unread_.empty()) return std::nullopt;
  }
  reading.after = gils_.state_after();
  return reading;
}

bool EveryoneReader::guard_gils() {
  const auto& roster = process_.roster;
  if (roster.has_other_interpreters()) process_.codes.forget_versions();
  std::vector<RemoteAddress> structs;
  for (const auto& interpreter : roster.interpreters()) {
    if (!interpreter.gil.is_null()) structs.push_back(interpreter.gil);
  }
  return !gils_.guard(structs);
}

void EveryoneReader::add_stack(Reading& reading, const PythonThread& thread, const ThreadActivity& activity) {
  if (!process_.roster.is_single()) {
    reading.parts.push_back({thread, activity, process_.walk(copy_, thread.state)});
    return;
  }
  auto& budget = process_.budget;
  auto* const lasting = budget.is_spent() ? nullptr : &lasting_[thread.state.value];
  if (lasting != nullptr) {
    const auto motion = options_.hold == Hold::none ? Motion::possible : Motion::none;
    walk_on(*lasting, process_, copy_, thread.state, motion);
    budget.spend(lasting->stack.frame_count());
  }
  reading.lasting.push_back({thread, activity, lasting});
}

bool EveryoneReader::is_whole(const Reading& reading) const {
  return !copy_.has_missed() &&
         std::none_of(reading.lasting.begin(), reading.lasting.end(), [](const Reading::Lasting& its) {
           return its.lasting != nullptr && its.lasting->stack.end() == StackEnd::torn;
         });
}

ThreadActivity EveryoneReader::activity_of(const PythonThread& thread, const std::vector<GilState>& gils) {
  ThreadActivity activity;
  // Without a GIL, what holding it is elsewhere: it runs Python now.
  activity.holds_gil = gils_.has_gil() ? is_holder(gils, thread.state) : is_attached(thread.state);
  const bool is_filter = options_.mode == Mode::active || options_.mode == Mode::cpu;
  if (!is_filter && !options_.report_activity) return activity;
  activity.on_cpu = process_.watches.state_of(thread.tid) == 'R';
  if (activity.on_cpu || activity.holds_gil) return activity;
  const auto call = process_.watches.of(thread.tid).blocked_call();
  activity.waits_for_gil = call && gils_.is_wait_for_gil(*call);
  return activity;
}

bool EveryoneReader::is_attached(RemoteAddress state) {
  constexpr std::int32_t attached = 1;  // _Py_THREAD_ATTACHED
  const auto value = read_as<std::int32_t>(copy_, state + process_.layout().thread.attachment.offset);
  return value && *value == attached;
}

bool EveryoneReader::is_wanted(const ThreadActivity& activity) const {
  switch (options_.mode) {
    case Mode::wall:
      return true;
    case Mode::active:
      return activity.holds_gil || activity.waits_for_gil || activity.on_cpu;
    case Mode::cpu:
      return activity.on_cpu;
    case Mode::gil:
      return activity.holds_gil;
  }
  return true;
}

bool EveryoneReader::is_idle(const std::vector<PythonThread>& threads, const std::vector<GilState>& gils) {
  if (!options_.report_idle) return false;
  if (!gils_.has_gil()) {
    return std::none_of(threads.begin(), threads.end(),
                        [&](const PythonThread& thread) { return is_attached(thread.state); });
  }
  return std::all_of(gils.begin(), gils.end(), [](const GilState& gil) { return gil.holder.is_null(); });
}

}  // namespace sampler
