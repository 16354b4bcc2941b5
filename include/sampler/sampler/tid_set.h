#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <unordered_map>

#include "sampler/base/ids.h"

namespace sampler {

/// Thread numbers in bounded memory: a bit for each, 512 KiB for all that the kernel has (2^22), where a
/// target makes new threads for ever.
class TidSet {
 public:
  void insert(Tid tid) {
    const auto value = static_cast<std::uint32_t>(number(tid));
    auto& page = pages_[value / page_size];
    auto bit = page[value % page_size];
    if (!bit) ++size_;
    bit = true;
  }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  static constexpr std::size_t page_size = 4096;

  std::unordered_map<std::size_t, std::bitset<page_size>> pages_;
  std::size_t size_ = 0;
};

}  // namespace sampler
