#include "sampler/cpython/thread_stack.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "frame_chain.h"
#include "moving_stack.h"
#include "stack_marks.h"

namespace sampler {
namespace {

std::size_t count_frames(const WalkedChain& chain) {
  return static_cast<std::size_t>(
      std::count_if(chain.links.begin(), chain.links.end(),
                    [](const ChainLink& link) { return link.frame.code != nullptr; }));
}

}  // namespace

/// The links of the walk before that have not changed.
class ThreadStack::Known final : public KnownLinks {
 public:
  explicit Known(const ThreadStack& stack) : stack_{stack} {}

  [[nodiscard]] std::optional<RemoteAddress> data_end_at(RemoteAddress link) const override {
    const auto place = stack_.find(link);
    return place > 0 ? std::optional{stack_.links_[place - 1].data_end} : std::nullopt;
  }
  [[nodiscard]] bool leads_to(RemoteAddress link, RemoteAddress frame) const override {
    const auto inner = stack_.links_.begin() + static_cast<std::ptrdiff_t>(stack_.find(link));
    return std::any_of(stack_.links_.begin(), inner,
                       [&](const Link& outer) { return outer.address == frame.value; });
  }

 private:
  const ThreadStack& stack_;
};

void ThreadStack::walk(RemoteMemory& memory, const PythonRuntime& runtime, CodeCache& codes,
                       RemoteAddress thread_state, Motion motion) {
  const auto& layout = *runtime.layout;
  if (generation_ != codes.generation()) truncate(0, layout);
  generation_ = codes.generation();
  truncate(count_unchanged(memory, layout), layout);
  const auto start = start_of(memory, layout, thread_state);
  auto chain = walk_chain(memory, runtime, codes, start, motion, Known{*this});
  auto known = chain.known.is_null() ? 0 : find(chain.known);
  if (motion == Motion::possible) chain.end = settle(chain, known, memory, runtime, codes);
  truncate(known, layout);
  const bool is_too_deep = frames_.size() + count_frames(chain) > most_frames;
  if (!links_.empty() && (is_too_deep || !are_codes_same(memory, codes))) {
    truncate(0, layout);
    return walk(memory, runtime, codes, thread_state, motion);
  }
  end_ = chain.end;
  // NOLINTNEXTLINE(modernize-loop-convert): ranges are beyond clang 14
  for (auto link = chain.links.rbegin(); link != chain.links.rend(); ++link) {
    if (link->frame.code != nullptr) frames_.push_back(link->frame);
    const auto data_end = !link->end.is_null() || links_.empty() ? link->end : links_.back().data_end;
    append({link->address.value, frames_.size(), link->is_trampoline, data_end}, layout);
    if (layout.traits.frame_chain == FrameChain::frame_objects) note(link->address.value);
  }
  const auto cframe = place_of_cframe(memory, layout, thread_state);
  c_stack_ = cframe ? *cframe : innermost_trampoline();
}

StackEnd ThreadStack::settle(WalkedChain& chain, std::size_t& known, RemoteMemory& memory,
                             const PythonRuntime& runtime, CodeCache& codes) {
  const auto& layout = *runtime.layout;
  if (chain.end == StackEnd::too_deep) return chain.end;
  bool is_torn = chain.end == StackEnd::unreadable;
  // Where frames do not tell that they run (2.7), one that a traceback keeps would be taken for a call that
  // goes on.
  bool may_go_on = layout.traits.frame_chain != FrameChain::frame_objects || layout.frame.state.exists();
  if (is_torn || has_lost_root(chain, layout)) {
    may_go_on = true;
    is_torn = true;  // what has not changed is there still
    chain.links.clear();
    known = links_.size();
  }
  auto caller = known > 0 ? link_at(known, memory, layout) : std::nullopt;
  const bool stands_still = is_as_before(chain, known);
  for (auto i = chain.links.size(); i > 0; --i) {
    const auto& callee = chain.links[i - 1];
    const bool is_known_to_call = !caller || stands_still;
    const auto tie = is_known_to_call ? Tie::calls : tie_of(memory, layout, *caller, callee);
    const bool is_told = !is_known_to_call && callee.frame.code != nullptr && callee.fields.is_entry == 0;
    // The JIT that leaves frames so (CinderX) is one of 3.14 on. Before that a caller may look so that is
    // only never caught in a call of 40 ns: it has returned when the caller is read.
    auto* const code = is_told && layout.frame.stack_pointer.exists() ? caller->frame.code : nullptr;
    if (code != nullptr && code->note_silence(tie == Tie::runs_itself)) codes.count_silent();
    const bool is_believed = tie != Tie::runs_itself || code == nullptr || !code->is_silent();
    if (tie != Tie::calls && is_believed) {
      is_torn = tie == Tie::calls_another || (code != nullptr && code->may_be_silent());
      chain.links.erase(chain.links.begin(), chain.links.begin() + static_cast<std::ptrdiff_t>(i));
      break;
    }
    caller = callee;
  }
  std::vector<ChainLink> inner;
  while (may_go_on && caller && inner.size() < most_frames) {
    auto callee = layout.traits.frame_chain == FrameChain::frame_objects
                      ? callee_among(memory, runtime, codes, *caller, frame_objects_)
                      : callee_on_data_stack(memory, runtime, codes, *caller);
    if (!callee) break;
    inner.push_back(*callee);
    caller = callee;
  }
  chain.links.insert(chain.links.begin(), inner.rbegin(), inner.rend());
  return is_torn ? StackEnd::torn : StackEnd::complete;
}

bool ThreadStack::is_as_before(const WalkedChain& chain, std::size_t known) {
  auto hash = static_cast<std::uint64_t>(known);
  const auto add = [&](std::uint64_t value) {
    constexpr std::uint64_t prime = 0x100000001b3;  // as FNV-1a has it
    hash = (hash ^ value) * prime;
  };
  for (const auto& link : chain.links) {
    add(link.address.value);
    add(link.fields.executable.value);
    add(link.fields.instruction);
    add(static_cast<std::uint64_t>(link.fields.stack_top));
    add(link.fields.stack_pointer.value + link.fields.return_offset);
  }
  return std::exchange(chain_hash_, hash) == hash;
}

bool ThreadStack::has_lost_root(const WalkedChain& chain, const Layout& layout) {
  const bool is_cut = std::any_of(chain.links.begin(), chain.links.end(),
                                  [&](const ChainLink& link) { return has_returned(layout, link.fields); });
  if (is_cut) return true;
  if (!chain.known.is_null() || chain.links.empty()) {
    doubts_ = 0;
    return false;
  }
  const auto& outermost = chain.links.back();
  if (!has_trampolines(layout.traits)) return outermost.fields.owner == owned_by_generator;
  // A frame that C has pushed has no trampoline below it yet.
  if (!outermost.is_trampoline) return true;
  // All trampolines have the same executable. Another is believed when it is seen again and again.
  constexpr int most_doubts = 100;
  const auto executable = outermost.fields.executable;
  if (!trampoline_.is_null() && executable != trampoline_ && ++doubts_ < most_doubts) return true;
  trampoline_ = executable;
  doubts_ = 0;
  return false;
}

std::optional<ChainLink> ThreadStack::link_at(std::size_t place, RemoteMemory& memory,
                                              const Layout& layout) const {
  const auto& link = links_[place - 1];
  const auto fields = read_frame(memory, layout, {link.address});
  if (!fields) return std::nullopt;
  const auto before = place > 1 ? links_[place - 2].frame_count : 0;
  ChainLink found{{link.address}, {{link.address}, nullptr, 0}, link.is_trampoline, *fields};
  if (link.frame_count > before) found.frame = frames_[link.frame_count - 1];
  return found;
}

void ThreadStack::note(std::uint64_t address) {
  constexpr std::size_t most = 64;
  if (std::find(frame_objects_.begin(), frame_objects_.end(), address) != frame_objects_.end()) return;
  if (frame_objects_.size() < most) {
    frame_objects_.push_back(address);
    return;
  }
  frame_objects_[next_object_] = address;
  next_object_ = (next_object_ + 1) % most;
}

RemoteAddress ThreadStack::innermost_trampoline() const {
  const auto innermost =
      std::find_if(links_.rbegin(), links_.rend(), [](const Link& link) { return link.is_trampoline; });
  return innermost == links_.rend() ? RemoteAddress{} : RemoteAddress{innermost->address};
}

std::size_t ThreadStack::find(RemoteAddress address) const noexcept {
  // From the leaf outward: a stack that has changed mostly has so at its leaf.
  constexpr std::size_t most_searched = 64;
  const auto last = links_.size() - std::min(links_.size(), most_searched);
  for (auto place = links_.size(); place > last; --place) {
    if (links_[place - 1].address == address.value) return place;
  }
  return 0;
}

std::size_t ThreadStack::count_unchanged(RemoteMemory& memory, const Layout& layout) const {
  // What has no root proves nothing of its links.
  if (end_ != StackEnd::complete && end_ != StackEnd::torn) return 0;
  const auto size = layout.frame.size;
  std::size_t count = 0;
  for (const auto& piece : pieces_) {
    const auto whole = piece.end - piece.begin;
    const auto unchanged = memory.count_unchanged({piece.begin}, whole);
    if (unchanged == whole) {
      count = piece.link_count;
      continue;
    }
    // What has changed may lie between them.
    while (count < piece.link_count && (links_[count].address + size <= piece.begin + unchanged ||
                                        memory.count_unchanged({links_[count].address}, size) == size)) {
      ++count;
    }
    if (count < piece.link_count) break;
  }
  return count;
}

bool ThreadStack::are_codes_same(RemoteMemory& memory, CodeCache& codes) const {
  return std::all_of(frames_.begin(), frames_.end(),
                     [&](const RawFrame& frame) { return codes.is_same(memory, *frame.code); });
}

void ThreadStack::truncate(std::size_t link_count, const Layout& layout) {
  links_.resize(link_count);
  frames_.resize(link_count == 0 ? 0 : links_.back().frame_count);
  ids_.resize(std::min(ids_.size(), frames_.size()));
  while (pieces_.size() > 1 && pieces_[pieces_.size() - 2].link_count >= link_count) pieces_.pop_back();
  if (link_count == 0) pieces_.clear();
  if (pieces_.empty()) return;
  pieces_.back().link_count = link_count;
  pieces_.back().end = links_.back().address + layout.frame.size;
}

void ThreadStack::append(const Link& link, const Layout& layout) {
  constexpr std::uint64_t most_bytes_between = 1024;
  links_.push_back(link);
  const auto size = layout.frame.size;
  const bool is_close = !pieces_.empty() && link.address >= pieces_.back().end &&
                        link.address - pieces_.back().end <= most_bytes_between;
  if (!is_close) pieces_.push_back({link.address, 0, 0});
  pieces_.back().end = link.address + size;
  pieces_.back().link_count = links_.size();
}

StackId ThreadStack::decode(const Layout& layout, StackTable& stacks) {
  if (end_ == StackEnd::too_deep || end_ == StackEnd::unreadable) {
    const RawStack stack{{frames_.rbegin(), frames_.rend()}, end_, {}};
    return decode_stack(stack, layout, stacks);
  }
  auto id = ids_.empty() ? StackId::empty : ids_.back();
  for (auto i = ids_.size(); i < frames_.size(); ++i) {
    id = stacks.push(id, frames_[i].code->frame_at(frames_[i].instruction, layout, stacks));
    ids_.push_back(id);
  }
  if (end_ == StackEnd::torn) id = stacks.push(id, mark(stacks, "<torn>"));
  return id;
}

}  // namespace sampler
