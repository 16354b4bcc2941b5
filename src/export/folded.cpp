#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <ostream>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "sampler/export/format_registry.h"
#include "sampler/export/frame_text.h"

namespace sampler {
namespace {

using TextId = std::uint32_t;
using NodeId = std::uint32_t;
constexpr NodeId root_node = 0;

constexpr std::uint64_t pair_key(std::uint32_t high, std::uint32_t low) noexcept {
  return (std::uint64_t{high} << 32U) | low;
}

/// The call tree by what is shown instead of by frames: stacks whose lines coincide are one node.
class TextTree {
 public:
  [[nodiscard]] TextId intern(std::string_view text) {
    if (const auto known = text_ids_.find(text); known != text_ids_.end()) return known->second;
    texts_.emplace_back(text);
    const auto id = static_cast<TextId>(texts_.size() - 1);
    text_ids_.emplace(texts_.back(), id);
    return id;
  }

  [[nodiscard]] NodeId child(NodeId parent, TextId text) {
    const auto [entry, is_new] =
        node_ids_.try_emplace(pair_key(parent, text), static_cast<NodeId>(nodes_.size()));
    if (is_new) nodes_.push_back({parent, text, nodes_[parent].depth + 1, 0});
    return entry->second;
  }

  void count(NodeId node, std::uint64_t samples) { nodes_[node].count += samples; }

  /// Every line, in the order of its bytes: that of `LC_ALL=C sort`.
  void write(std::ostream& out) const {
    std::vector<TextId> path;
    for (const auto node : sorted_lines()) write_line(out, node, path);
  }

 private:
  struct Node {
    NodeId parent;
    TextId text;
    std::uint32_t depth;
    std::uint64_t count;
  };

  /// The nodes below a common parent at which two lines part; `is_leaf` where the line ends there.
  struct Fork {
    NodeId node;
    bool is_leaf;
  };

  [[nodiscard]] std::vector<NodeId> sorted_lines() const {
    std::vector<NodeId> lines;
    for (NodeId node = 1; node < nodes_.size(); ++node) {
      if (nodes_[node].count != 0) lines.push_back(node);
    }
    std::sort(lines.begin(), lines.end(),
              [this](NodeId a, NodeId b) { return a != b && line_precedes(a, b); });
    return lines;
  }

  [[nodiscard]] NodeId ancestor_at(NodeId node, std::uint32_t depth) const {
    while (nodes_[node].depth > depth) node = nodes_[node].parent;
    return node;
  }

  [[nodiscard]] bool line_precedes(NodeId a, NodeId b) const {
    const auto depth = std::min(nodes_[a].depth, nodes_[b].depth);
    auto fork_a = ancestor_at(a, depth);
    auto fork_b = ancestor_at(b, depth);
    // One line's frames start the other's: " 12" precedes ";frame 12".
    if (fork_a == fork_b) return nodes_[a].depth < nodes_[b].depth;
    while (nodes_[fork_a].parent != nodes_[fork_b].parent) {
      fork_a = nodes_[fork_a].parent;
      fork_b = nodes_[fork_b].parent;
    }
    return text_precedes({fork_a, fork_a == a}, {fork_b, fork_b == b});
  }

  [[nodiscard]] bool text_precedes(Fork a, Fork b) const {
    const std::string_view text_a = texts_[nodes_[a.node].text];
    const std::string_view text_b = texts_[nodes_[b.node].text];
    const auto common = std::min(text_a.size(), text_b.size());
    if (const auto order = text_a.compare(0, common, text_b, 0, common); order != 0) return order < 0;
    return rest_of_line(a, common) < rest_of_line(b, common);
  }

  /// The line from byte `from` of the fork's frame on, as far as it takes to tell it from another.
  [[nodiscard]] std::string rest_of_line(Fork fork, std::size_t from) const {
    const auto& node = nodes_[fork.node];
    const auto text = std::string_view{texts_[node.text]}.substr(from);
    return fork.is_leaf ? fmt::format("{} {}", text, node.count) : fmt::format("{};", text);
  }

  void write_line(std::ostream& out, NodeId node, std::vector<TextId>& path) const {
    path.clear();
    for (auto at = node; at != root_node; at = nodes_[at].parent) path.push_back(nodes_[at].text);
    for (auto text = path.rbegin(); text != path.rend(); ++text) {
      if (text != path.rbegin()) out.put(';');
      const std::string_view bytes = texts_[*text];
      out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    }
    const auto count = fmt::format(" {}\n", nodes_[node].count);
    out.write(count.data(), static_cast<std::streamsize>(count.size()));
  }

  std::deque<std::string> texts_;  // a deque: the keys of text_ids_ point into it
  std::vector<Node> nodes_{{root_node, 0, 0, 0}};
  std::unordered_map<std::string_view, TextId> text_ids_;
  std::unordered_map<std::uint64_t, NodeId> node_ids_;
};

/// Folded stacks: one line per distinct stack, root first, frames parted by `;`, then a space and the
/// samples.
class FoldedSink final : public ProfileSink {
 public:
  explicit FoldedSink(const FormatOptions& options) : options_{options} {}

  void begin(const RunInfo& info) override {
    // Targets that do not share a directory have none to shorten by.
    const bool is_shared = targets_++ == 0 || working_directory_ == info.working_directory;
    working_directory_ = is_shared ? info.working_directory : std::string{};
  }

  void add(const Sample& sample) override {
    if (sample.stack == StackId::empty && options_.style == FrameStyle::sampler) return;
    const auto tid = has_thread_frame() ? static_cast<std::uint32_t>(number(sample.tid)) : 0;
    counts_[pair_key(tid, static_cast<std::uint32_t>(sample.stack))] += sample.count;
  }

  void write(std::ostream& out, const RunSummary& /*summary*/, const StackTable& stacks) const override {
    TextTree tree;
    const auto texts = text_ids(tree, stacks);
    // By thread, so that what is known of one thread's stacks can be forgotten before the next.
    std::vector<std::pair<std::uint64_t, std::uint64_t>> counts{counts_.begin(), counts_.end()};
    std::sort(counts.begin(), counts.end());
    std::unordered_map<std::uint32_t, NodeId> known;
    std::uint32_t known_tid = 0;
    for (const auto& [key, count] : counts) {
      const auto tid = static_cast<std::uint32_t>(key >> 32U);
      if (known.empty() || tid != known_tid) known = {{0, thread_node(tree, tid)}};
      known_tid = tid;
      tree.count(leaf_node(tree, stacks, texts, known, static_cast<StackId>(key)), count);
    }
    tree.write(out);
  }

 private:
  /// Pyflame's --threads adds no frame, and its users' scripts expect none.
  [[nodiscard]] bool has_thread_frame() const {
    return options_.thread_roots && options_.style == FrameStyle::sampler;
  }

  [[nodiscard]] std::vector<TextId> text_ids(TextTree& tree, const StackTable& stacks) const {
    std::vector<TextId> ids;
    for (const auto& text : frame_texts(stacks, options_, working_directory_))
      ids.push_back(tree.intern(text));
    return ids;
  }

  [[nodiscard]] NodeId thread_node(TextTree& tree, std::uint32_t tid) const {
    return has_thread_frame() ? tree.child(root_node, tree.intern(fmt::format("(thread {})", tid)))
                              : root_node;
  }

  [[nodiscard]] static NodeId leaf_node(TextTree& tree, const StackTable& stacks,
                                        const std::vector<TextId>& texts,
                                        std::unordered_map<std::uint32_t, NodeId>& known, StackId stack) {
    if (stack == StackId::empty) return tree.child(root_node, tree.intern("(idle)"));
    std::vector<StackId> unknown;
    for (; !known.contains(static_cast<std::uint32_t>(stack)); stack = stacks.callers(stack))
      unknown.push_back(stack);
    auto node = known.at(static_cast<std::uint32_t>(stack));
    std::reverse(unknown.begin(), unknown.end());  // clang 14 cannot read g++ 12's reverse_view
    for (const auto next : unknown) {
      node = tree.child(node, texts[static_cast<std::size_t>(stacks.leaf(next))]);
      known.emplace(static_cast<std::uint32_t>(next), node);
    }
    return node;
  }

  FormatOptions options_;
  std::string working_directory_;
  std::size_t targets_ = 0;
  std::unordered_map<std::uint64_t, std::uint64_t> counts_;  // by thread, where it is shown, and stack
};

const FormatRegistration registration{
    {.name = "folded",
     .extension = ".folded",
     .summary = "one line per distinct stack, for flamegraph.pl and most other viewers",
     .open = [](const FormatOptions& options) -> std::unique_ptr<ProfileSink> {
       return std::make_unique<FoldedSink>(options);
     }}};

}  // namespace
}  // namespace sampler
