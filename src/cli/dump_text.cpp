#include "dump_text.h"

#include <fmt/format.h>

#include <string_view>
#include <vector>

#include "sampler/export/frame_text.h"

namespace sampler {
namespace {

std::string_view activity_text(const ThreadActivity& activity) noexcept {
  if (activity.holds_gil) return "holds the GIL";
  if (activity.waits_for_gil) return "waits for the GIL";
  return activity.on_cpu ? "on a CPU" : "idle";
}

std::string frame_lines(StackId stack, const StackTable& stacks, const std::vector<std::string>& texts,
                        std::string_view indent) {
  std::string lines;
  for (; stack != StackId::empty; stack = stacks.callers(stack)) {
    lines += fmt::format("{}{}\n", indent, texts[static_cast<std::size_t>(stacks.leaf(stack))]);
  }
  return lines;
}

std::string sampler_dump(std::span<const DumpedThread> threads, const StackTable& stacks, const RunInfo& info,
                         const std::vector<std::string>& texts) {
  auto text = fmt::format("process {}, Python {}, most recent call first\n", number(info.pid),
                          to_string(info.python));
  for (const auto& thread : threads) {
    text += fmt::format("\nthread {}, {}\n", number(thread.tid), activity_text(thread.activity));
    const auto lines = frame_lines(thread.stack, stacks, texts, "    ");
    text += lines.empty() ? "    no Python frame\n" : lines;
  }
  return text;
}

std::string pyflame_dump(std::span<const DumpedThread> threads, const StackTable& stacks,
                         const std::vector<std::string>& texts) {
  std::string text;
  for (const auto& thread : threads) {
    const std::string_view gap = text.empty() ? "" : "\n";
    const std::string_view holder = thread.activity.holds_gil ? "*" : "";
    text += fmt::format("{}{}{}:\n{}", gap, number(thread.tid), holder,
                        frame_lines(thread.stack, stacks, texts, ""));
  }
  return text;
}

}  // namespace

std::string dump_text(std::span<const DumpedThread> threads, const StackTable& stacks, const RunInfo& info,
                      const FormatOptions& options) {
  const auto texts = frame_texts(stacks, options, info.working_directory);
  switch (options.style) {
    case FrameStyle::sampler:
      return sampler_dump(threads, stacks, info, texts);
    case FrameStyle::pyflame:
      return pyflame_dump(threads, stacks, texts);
  }
  return {};
}

}  // namespace sampler
