#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "sampler/model/frame.h"

namespace sampler {

/// A whole stack: the node of its leaf in a StackTable's call tree.
enum class StackId : std::uint32_t { empty = 0 };

/// Texts, frames and stacks, each held once: memory grows with distinct stacks, never with time.
/// A stack is a path of the call tree, so stacks that share callers share nodes.
class StackTable {
 public:
  StackTable();

  [[nodiscard]] StringId intern(std::string_view text);
  [[nodiscard]] FrameId intern(const Frame& frame);
  /// The stack that is `callers` with `frame` called from its leaf.
  [[nodiscard]] StackId push(StackId callers, FrameId frame);

  [[nodiscard]] std::string_view text(StringId id) const { return texts_[index(id)]; }
  [[nodiscard]] const Frame& frame(FrameId id) const { return frames_[index(id)]; }
  /// The leaf frame; not of StackId::empty.
  [[nodiscard]] FrameId leaf(StackId id) const { return nodes_[index(id)].frame; }
  /// The stack without its leaf.
  [[nodiscard]] StackId callers(StackId id) const { return nodes_[index(id)].parent; }
  /// Root first.
  [[nodiscard]] std::vector<FrameId> frames_of(StackId id) const;

  [[nodiscard]] std::size_t frame_count() const noexcept { return frames_.size(); }
  [[nodiscard]] std::size_t stack_count() const noexcept { return nodes_.size(); }

 private:
  struct Node {
    StackId parent;
    FrameId frame;
    friend bool operator==(const Node&, const Node&) = default;
  };
  struct FrameHash {
    std::size_t operator()(const Frame& frame) const noexcept;
  };
  struct NodeHash {
    std::size_t operator()(const Node& node) const noexcept;
  };
  template <class Id>
  [[nodiscard]] static std::size_t index(Id id) noexcept {
    return static_cast<std::size_t>(id);
  }

  std::deque<std::string> texts_;  // a deque: the keys of text_ids_ point into it
  std::vector<Frame> frames_;
  std::vector<Node> nodes_;
  std::unordered_map<std::string_view, StringId> text_ids_;
  std::unordered_map<Frame, FrameId, FrameHash> frame_ids_;
  std::unordered_map<Node, StackId, NodeHash> node_ids_;
};

}  // namespace sampler
