#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "sampler/memory/process_memory.h"
#include "sampler/memory/remote_memory.h"

namespace sampler {

/// A copy of the parts of the target's memory that one sample needs. It predicts them: fetch() copies, in one
/// batch, the blocks that recent samples read; what a sample reads beyond that is read at once and predicted
/// next time. So whoever walks frames just reads, and a steady target costs one call.
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

  /// Whether anything was read since fetch() that the batch did not hold: then the batch's last ranges prove
  /// nothing.
  [[nodiscard]] bool has_missed() const noexcept { return has_missed_; }

 private:
  struct Block {
    std::uint64_t address = 0;
    std::uint32_t last_used = 0;  ///< the sample that read it last
    bool is_readable = true;
  };

  void plan();
  [[nodiscard]] const std::byte* block_at(std::uint64_t address);
  [[nodiscard]] const std::byte* copy_block(std::uint64_t address);

  ProcessMemory& memory_;
  std::uint32_t patience_;
  std::uint32_t sample_ = 0;
  bool has_missed_ = false;
  std::vector<Block> planned_;  // by address; block i is at copies_[i * block_size]
  std::vector<std::byte> copies_;
  std::unordered_map<std::uint64_t, std::vector<std::byte>> missed_;  // blocks read since fetch()
  std::vector<RemoteRange> batch_;                                    // kept for its memory only, as unread_
  std::vector<std::uint32_t> unread_;
  std::size_t hint_ = 0;  // the planned block found last: neighbours are asked for together
};

}  // namespace sampler
