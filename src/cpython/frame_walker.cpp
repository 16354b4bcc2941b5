#include "sampler/cpython/frame_walker.h"

#include <fmt/format.h>

#include <algorithm>

#include "frame_chain.h"
#include "stack_marks.h"

namespace sampler {

RawStack walk_frames(RemoteMemory& memory, const PythonRuntime& runtime, CodeCache& codes,
                     RemoteAddress thread_state) {
  const auto start = start_of(memory, *runtime.layout, thread_state);
  const auto chain = walk_chain(memory, runtime, codes, start, Motion::none, KnownLinks{});
  RawStack stack{{}, chain.end, {}};
  stack.frames.reserve(chain.frame_count);
  for (const auto& link : chain.links) {
    if (link.frame.code != nullptr) stack.frames.push_back(link.frame);
    if (link.is_trampoline && stack.c_stack.is_null()) stack.c_stack = link.address;
  }
  if (const auto cframe = place_of_cframe(memory, *runtime.layout, thread_state)) stack.c_stack = *cframe;
  return stack;
}

void learn_call(const RawStack& stack) {
  if (stack.frames.size() < 2 || stack.end != StackEnd::complete) return;
  const auto& leaf = stack.frames[0];
  const auto& caller = stack.frames[1];
  const bool is_call =
      leaf.code != nullptr && caller.code != nullptr && leaf.code->has_begun_at(leaf.instruction);
  if (is_call) caller.code->note_call(caller.instruction, leaf.code->makes_generator());
}

StackId decode_stack(const RawStack& stack, const Layout& layout, StackTable& stacks) {
  auto id = StackId::empty;
  switch (stack.end) {
    case StackEnd::complete:
    case StackEnd::torn:
      break;
    case StackEnd::too_deep:
      id = stacks.push(id, mark(stacks, "<too deep>"));
      break;
    case StackEnd::unreadable:
      id = unreadable_stack(stacks);
      break;
  }
  for (auto frame = stack.frames.rbegin();  // NOLINT(modernize-loop-convert): ranges are beyond clang 14
       frame != stack.frames.rend(); ++frame) {
    id = stacks.push(id, frame->code != nullptr
                             ? frame->code->frame_at(frame->instruction, layout, stacks)
                             : mark(stacks, fmt::format("<interpreter {}>", frame->instruction)));
  }
  if (stack.end == StackEnd::torn) id = stacks.push(id, mark(stacks, "<torn>"));
  return id;
}

RawStack join_stacks(std::vector<InterpreterStack> parts) {
  const auto place = [](const InterpreterStack& part) {
    // Without a trace on the C stack: an interpreter is entered from one that was there before it.
    return part.stack.c_stack.is_null() ? ~part.interpreter : part.stack.c_stack.value;
  };
  std::stable_sort(parts.begin(), parts.end(),
                   [&](const auto& a, const auto& b) { return place(a) < place(b); });
  RawStack joined;
  for (auto& [interpreter, stack] : parts) {
    if (stack.end != StackEnd::complete) joined.end = stack.end;
    if (stack.frames.empty()) continue;
    joined.frames.insert(joined.frames.end(), stack.frames.begin(), stack.frames.end());
    joined.frames.push_back({{}, nullptr, interpreter});
  }
  return joined;
}

StackId unreadable_stack(StackTable& stacks) {
  return stacks.push(StackId::empty, mark(stacks, "<unreadable>"));
}

}  // namespace sampler
