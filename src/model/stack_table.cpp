#include "sampler/model/stack_table.h"

#include <algorithm>

namespace sampler {
namespace {

constexpr std::size_t mix(std::size_t seed, std::size_t value) noexcept {
  // The constant is 2^64 / golden ratio: neighbouring ids land far apart.
  return (seed ^ value) * 0x9E3779B97F4A7C15ULL + (seed >> 29U);
}

}  // namespace

std::size_t StackTable::FrameHash::operator()(const Frame& frame) const noexcept {
  return mix(mix(mix(static_cast<std::size_t>(frame.kind), index(frame.name)), index(frame.file)),
             frame.line);
}

std::size_t StackTable::NodeHash::operator()(const Node& node) const noexcept {
  return mix(index(node.parent), index(node.frame));
}

StackTable::StackTable() {
  nodes_.push_back(Node{StackId::empty, FrameId{}});
}

StringId StackTable::intern(std::string_view text) {
  if (const auto known = text_ids_.find(text); known != text_ids_.end()) return known->second;
  const auto id = static_cast<StringId>(texts_.size());
  texts_.emplace_back(text);
  text_ids_.emplace(texts_.back(), id);
  return id;
}

FrameId StackTable::intern(const Frame& frame) {
  const auto [entry, is_new] = frame_ids_.try_emplace(frame, static_cast<FrameId>(frames_.size()));
  if (is_new) frames_.push_back(frame);
  return entry->second;
}

StackId StackTable::push(StackId callers, FrameId frame) {
  const Node node{callers, frame};
  const auto [entry, is_new] = node_ids_.try_emplace(node, static_cast<StackId>(nodes_.size()));
  if (is_new) nodes_.push_back(node);
  return entry->second;
}

std::vector<FrameId> StackTable::frames_of(StackId id) const {
  std::vector<FrameId> frames;
  for (; id != StackId::empty; id = callers(id)) frames.push_back(leaf(id));
  std::reverse(frames.begin(), frames.end());
  return frames;
}

}  // namespace sampler
