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
  // Which thread a renumbered state is of is known by its C stack only.
  const bool is_unlikely =
      bounds && roster.is_renumbered(thread) && bounds->own && !bounds->own->contains(bounds->pointer);
  // A state may be run by another thread than it names (PyEval_RestoreThread): then this one's standing still
  // proves nothing.
  const bool is_elsewhere = std::any_of(parts.begin(), parts.end(), [&](const InterpreterStack& part) {
    return bounds && !part.stack.frames.empty() &&
           may_be_anothers(overlay, thread, *bounds, part.stack.c_stack);
  });
  if (is_unlikely || is_elsewhere) {
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
  // Who makes frames without an evaluation loop, as compiled programs do, leaves nothing on the C stack.
  if (process_.layout().traits.frame_chain != FrameChain::frame_objects) return true;
  const auto bounds = c_stack_of(copy_of(thread).overlay, thread);
  if (!bounds) return false;
  auto c_stack = copy_c_stack(process_.memory, bounds->pointer, bounds->pthread);
  if (bounds->own && !bounds->own->contains(bounds->pointer)) {
    // On a coroutine's stack: it was called on its own.
    const auto outer = copy_whole_c_stack(process_.memory, *bounds->own);
    c_stack.insert(c_stack.end(), outer.begin(), outer.end());
  }
  return runs_on(c_stack, thread.state, stack);
}

bool ThreadReader::is_placed(RemoteAddress state) const {
  return std::find(placed_.begin(), placed_.end(), state) != placed_.end();
}

std::optional<CStackBounds> ThreadReader::c_stack_of(Overlay& overlay, const PythonThread& thread) {
  const auto pthread = process_.roster.pthread_of(overlay, thread);
  if (!pthread) return std::nullopt;
  auto& copy = copy_of(thread);
  if (std::exchange(copy.pthread, *pthread) != *pthread) {
    copy.own = process_.roster.c_stack_of(process_.memory, thread, *pthread);
  }
  const auto pointer = process_.watches.of(thread.tid).stack_pointer();
  return pointer ? std::optional{CStackBounds{*pointer, *pthread, copy.own}} : std::nullopt;
}

bool ThreadReader::may_be_anothers(Overlay& overlay, const PythonThread& thread, const CStackBounds& bounds,
                                   RemoteAddress c_stack) {
  if (c_stack.is_null()) return false;
  switch (bounds.place(c_stack)) {
    case CStackPlace::its:
      return false;
    case CStackPlace::nobodys:
      return true;
    case CStackPlace::untold:
      break;
  }
  const auto& layout = process_.layout();
  // Frames that a compiled program made hang on the cframe inside the state.
  if (layout.traits.frame_chain == FrameChain::through_cframe && !cframe_of(overlay, layout, thread.state)) {
    return false;
  }
  // It is on a stack that the thread has left for now, unless that is another thread's.
  const auto& roster = process_.roster;
  const auto has_it = [&](const PythonThread& other) {
    const auto pthread = roster.pthread_of(process_.memory, other);
    const auto stack = pthread ? roster.c_stack_of(process_.memory, other, *pthread) : std::nullopt;
    return !stack || stack->contains(c_stack);
  };
  return !roster.has_all_threads() || std::any_of(roster.threads().begin(), roster.threads().end(), has_it);
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
