#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "sampler/cpython/frame_walker.h"

namespace sampler {

struct WalkedChain;
struct ChainLink;

/// Whether a thread's frames could change while they were copied.
enum class Motion : std::uint8_t {
  none,
  possible,  ///< the frames are of several moments: the stack is what of them fits together, else it was torn
};

/// A thread's stack as it was walked last: the next walk looks only at what has changed since, as a sample
/// after the other mostly shares its callers. Of memory that tells what has not changed.
class ThreadStack {
 public:
  /// Follows a thread state's frames, as walk_frames().
  void walk(RemoteMemory& memory, const PythonRuntime& runtime, CodeCache& codes, RemoteAddress thread_state,
            Motion motion = Motion::none);

  /// What was walked last is no longer that of the sample before.
  void forget() noexcept { end_ = StackEnd::unreadable; }

  [[nodiscard]] StackEnd end() const noexcept { return end_; }
  [[nodiscard]] std::size_t frame_count() const noexcept { return frames_.size(); }
  /// A place on the C stack of the thread that runs it, as RawStack has it.
  [[nodiscard]] RemoteAddress c_stack() const noexcept { return c_stack_; }
  /// The stack in the table, as decode_stack(). Before the codes' next begin_tick().
  [[nodiscard]] StackId decode(const Layout& layout, StackTable& stacks);

 private:
  /// One link of the chain: a frame, or what is none of the stack's.
  struct Link {
    std::uint64_t address = 0;
    std::size_t frame_count = 0;  ///< frames from the root up to and with this one
    bool is_trampoline = false;
    RemoteAddress data_end;  ///< of the data stack, up to and with this one; null where it has none of it
  };
  class Known;
  /// Links at rising addresses that lie close together, root first: what has not changed is found faster by
  /// the piece.
  struct Piece {
    std::uint64_t begin = 0, end = 0;
    std::size_t link_count = 0;  ///< links from the root up to and with this piece
  };

  /// How many links from the root inward are what they were.
  [[nodiscard]] std::size_t count_unchanged(RemoteMemory& memory, const Layout& layout) const;
  /// Whether the frames that are left are of the code objects that they were of.
  [[nodiscard]] bool are_codes_same(RemoteMemory& memory, CodeCache& codes) const;
  /// The link's number from the root on, 1 the first; 0 where it is none of the inner ones.
  [[nodiscard]] std::size_t find(RemoteAddress address) const noexcept;
  /// Null where there is none.
  [[nodiscard]] RemoteAddress innermost_trampoline() const;
  /// Link number `place`, as a walk would come by it; nothing where it cannot be read.
  [[nodiscard]] std::optional<ChainLink> link_at(std::size_t place, RemoteMemory& memory,
                                                 const Layout& layout) const;
  /// Whether the way to the root is lost: a frame object that returns loses its caller, a generator that
  /// yields too, and what C pushes is linked later.
  [[nodiscard]] bool has_lost_root(const WalkedChain& chain, const Layout& layout);
  /// Whether the chain is what the walk before came by: nothing moves, however odd it looks.
  [[nodiscard]] bool is_as_before(const WalkedChain& chain, std::size_t known);
  /// Makes one stack of what was copied of a thread that ran: the chain, on the first `known` links. What it
  /// ends with.
  [[nodiscard]] StackEnd settle(WalkedChain& chain, std::size_t& known, RemoteMemory& memory,
                                const PythonRuntime& runtime, CodeCache& codes);
  void truncate(std::size_t link_count, const Layout& layout);
  void append(const Link& link, const Layout& layout);
  /// Keeps in mind which frame objects this thread's calls use: they are used again.
  void note(std::uint64_t address);

  std::vector<Link> links_;       // root first
  std::vector<Piece> pieces_;     // of the links
  std::vector<RawFrame> frames_;  // root first
  std::vector<StackId> ids_;      // of frames_ up to and with each, as far as decoded
  StackEnd end_ = StackEnd::complete;
  RemoteAddress c_stack_;
  RemoteAddress trampoline_;                  // the executable of the one below the outermost frame
  int doubts_ = 0;                            // about it, in a row
  std::uint64_t chain_hash_ = 0;              // of the chain that was walked last
  std::vector<std::uint64_t> frame_objects_;  // that were seen lately, where frames are objects
  std::size_t next_object_ = 0;               // the oldest of them, once there are many
  std::uint64_t generation_ = 0;
};

}  // namespace sampler
