#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "sampler/memory/process_memory.h"
#include "sampler/memory/remote_memory.h"

namespace sampler {

/// A copy of the parts of the target's memory that one sample needs. It predicts them: fetch() copies, in one
/// batch, the blocks that recent samples read; what a sample reads beyond that is read at once and predicted
/// next time. So whoever walks frames just reads, and a steady target costs one call.
///
/// The blocks are copied in the order in which they were read: what leads to the frames before the frames,
/// and a leaf before its callers, which change less often. The copies of the fetch before are kept, to tell
/// what has changed.
class Overlay final : public RemoteMemory {
 public:
  /// A block never spans two pages, so that it can be read wherever its page can.
  static constexpr std::uint64_t block_size = 512;
  /// Longer reads go past the overlay.
  static constexpr std::size_t most_copied = 16384;
  /// A block is predicted until more than this many samples in a row did not read it, where nothing else is
  /// said.
  static constexpr std::uint32_t patience = 8;

  /// Predicts what one of the last `patience` + 1 samples read: 0 for the last one only.
  explicit Overlay(ProcessMemory& memory, std::uint32_t samples = patience)
      : memory_{memory}, patience_{samples} {}

  /// Drops all copies and copies the predicted blocks: `first`, the blocks, `last`, in this order. False
  /// where a range of `first` or `last` could not be read.
  [[nodiscard]] bool fetch(std::span<const RemoteRange> first, std::span<const RemoteRange> last);

  Result<void, ReadError> read(RemoteAddress from, std::span<std::byte> into) noexcept override;
  const std::byte* view(RemoteAddress from, std::size_t size) noexcept override;
  const std::byte* peek(RemoteAddress from, std::size_t size) noexcept override;
  /// Of bytes that were copied by the last two fetches: how many, from the first on, are the same in both.
  [[nodiscard]] std::size_t count_unchanged(RemoteAddress from, std::size_t size) noexcept override;

  /// The number of the last fetch().
  [[nodiscard]] std::uint32_t sample() const noexcept { return sample_; }
  /// Whether anything was read since fetch() that the batch did not hold: then the batch's last ranges prove
  /// nothing.
  [[nodiscard]] bool has_missed() const noexcept { return has_missed_; }

 private:
  struct Block {
    std::uint64_t address = 0;
    std::uint32_t last_used = 0;  ///< the last sample that needed it
    std::uint32_t last_read = 0;  ///< the last sample that read it, and its place among those that it read
    std::uint32_t turn = 0;
    bool is_readable = true;
    bool is_new = true;  ///< the fetch before had no copy of it
    bool has_changed = true;
  };
  /// Blocks that follow each other, in the order of addresses, and are copied in one piece. Only such as did
  /// not change lately: of the others each is copied at its own turn.
  struct Run {
    std::size_t begin = 0, end = 0;
    std::uint32_t turn = 0;
  };
  struct Missed {
    std::vector<std::byte> bytes;
    std::uint32_t turn = 0;
  };

  [[nodiscard]] bool must_plan() const noexcept;
  void plan();
  /// The runs of the planned blocks, in the order in which they are copied.
  void plan_runs();
  /// Marks the blocks that differ from the fetch before.
  void compare(const Run& run) noexcept;
  [[nodiscard]] std::span<std::byte> bytes_of(const Run& run) noexcept;
  /// The planned blocks that hold the bytes; nothing where they are not all planned and readable.
  [[nodiscard]] std::optional<Run> find(RemoteAddress from, std::size_t size) noexcept;
  /// The same, and they are needed.
  [[nodiscard]] std::optional<Run> use(RemoteAddress from, std::size_t size) noexcept;
  [[nodiscard]] const std::byte* block_at(std::uint64_t address);
  [[nodiscard]] const std::byte* copy_block(std::uint64_t address);

  ProcessMemory& memory_;
  std::uint32_t patience_;
  std::uint32_t sample_ = 0;
  std::uint32_t turn_ = 0;
  bool has_missed_ = false;
  std::vector<Block> planned_;                    // by address; block i is at i * block_size in the copies
  std::vector<Run> runs_;                         // by turn
  std::array<std::vector<std::byte>, 2> copies_;  // of the last two fetches
  std::size_t current_ = 0;                       // the one of the last
  std::unordered_map<std::uint64_t, Missed> missed_;  // blocks read since fetch()
  std::vector<RemoteRange> batch_;                    // kept for its memory only, as unread_
  std::vector<std::uint32_t> unread_;
  std::size_t hint_ = 0;  // the planned block found last: neighbours are asked for together
};

}  // namespace sampler
