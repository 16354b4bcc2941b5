#include "sampler/sampler/thread_reader.h"

#include <algorithm>
#include <utility>

namespace sampler {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

}  // namespace

std::optional<RawStack> ThreadReader::read(const PythonThread& thread) {
  auto& roster = process_.roster;
  process_.codes.begin_reading();
  auto& copy = copy_of(thread);
  copy.read_at = Clock::now();
  auto& overlay = copy.overlay;
  static_cast<void>(overlay.fetch({}, {}));
  // A new interpreter goes to the list's head: this thread may be inside it.
  if (!roster.is_newest_interpreter(overlay)) return std::nullopt;
  // The thread may have given up its state since it was listed, and another may have got the memory.
  if (roster.is_single() && roster.names_another(overlay, thread)) return std::nullopt;
  const auto bounds = c_stack_of(overlay, thread);
  auto parts = roster.is_single() ? std::vector<InterpreterStack>{{0, process_.walk(overlay, thread.state)}}
                                  : read_parts(overlay, thread, bounds);
  // A state may be run by another thread than it names (PyEval_RestoreThread): then this one's standing still
  // proves nothing.
  const bool is_elsewhere = std::any_of(parts.begin(), parts.end(), [&](const InterpreterStack& part) {
    return bounds && !part.stack.frames.empty() && !part.stack.c_stack.is_null() &&
           !bounds->may_hold(part.stack.c_stack);
  });
  if (is_elsewhere) {
    copy.trusted = Tid{};
    return std::nullopt;
  }
  return roster.is_single() ? std::move(parts.front().stack) : join_stacks(std::move(parts));
}

void ThreadReader::foresee(const PythonThread& thread) {
  constexpr auto moment = 100us;
  if (Clock::now() - copy_of(thread).read_at > moment) static_cast<void>(read(thread));
}

bool ThreadReader::is_trusted(const PythonThread& thread) const {
  const auto copy = copies_.find(thread.state.value);
  return copy != copies_.end() && copy->second.trusted == thread.tid;
}

bool ThreadReader::names_another(const PythonThread& thread) {
  return process_.roster.names_another(copy_of(thread).overlay, thread);
}

bool ThreadReader::is_run_by(const PythonThread& thread, const RawStack& stack) {
  if (!stack.c_stack.is_null() || !process_.roster.is_single()) return true;  // looked at by read()
  const auto bounds = c_stack_of(copy_of(thread).overlay, thread);
  return bounds &&
         runs_on(copy_c_stack(process_.memory, bounds->pointer, bounds->pthread), thread.state, stack);
}

bool ThreadReader::is_placed(RemoteAddress state) const {
  return std::find(placed_.begin(), placed_.end(), state) != placed_.end();
}

std::optional<CStackBounds> ThreadReader::c_stack_of(Overlay& overlay, const PythonThread& thread) {
  const auto pointer = process_.watches.of(thread.tid).stack_pointer();
  const auto pthread = process_.roster.pthread_of(overlay, thread);
  if (!pointer || !pthread) return std::nullopt;
  return CStackBounds{*pointer, *pthread};
}

std::vector<InterpreterStack> ThreadReader::read_parts(Overlay& overlay, const PythonThread& thread,
                                                       const std::optional<CStackBounds>& bounds) {
  auto& roster = process_.roster;
  const bool by_cframe = process_.layout().traits.state_thread == StateThread::by_cframe;
  const auto is_its = [&](const PythonThread& other) {
    if (other.interpreter == 0 || !by_cframe || !bounds) {
      return other.tid == thread.tid && (other.interpreter != 0 || !roster.names_another(overlay, other));
    }
    const auto cframe = cframe_of(overlay, process_.layout(), other.state);
    return cframe && (other.tid == thread.tid || bounds->may_hold(*cframe));
  };
  const auto fresh = roster.list_new(overlay);
  std::vector<InterpreterStack> parts;
  for (const auto* const threads : {&roster.threads(), &fresh}) {
    for (const auto& other : *threads) {
      if (is_its(other)) parts.push_back({other.interpreter, process_.walk(overlay, other.state)});
    }
  }
  if (roster.has_moving_states() && bounds) add_moving_states(overlay, *bounds, parts);
  return parts;
}

void ThreadReader::add_moving_states(Overlay& overlay, const CStackBounds& bounds,
                                     std::vector<InterpreterStack>& parts) {
  std::vector<std::byte> c_stack;
  for (const auto& moving : process_.roster.threads()) {
    if (!is_unplaced(moving)) continue;
    auto stack = process_.walk(overlay, moving.state);
    if (stack.frames.empty()) continue;
    if (c_stack.empty()) c_stack = copy_c_stack(process_.memory, bounds.pointer, bounds.pthread);
    if (!runs_on(c_stack, moving.state, stack)) continue;
    placed_.push_back(moving.state);
    parts.push_back({moving.interpreter, std::move(stack)});
  }
}

ThreadReader::ThreadCopy& ThreadReader::copy_of(const PythonThread& thread) {
  return copies_.try_emplace(thread.state.value, process_.memory).first->second;
}

}  // namespace sampler
