#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <span>

#include "catch.h"
#include "sampler/memory/process_memory.h"

namespace sampler {

/// Pages of ours to be read as if they were a target's, each filled with its own number.
class Pages {
 public:
  static constexpr std::size_t page_size = 4096;

  explicit Pages(std::size_t count) : size_{count * page_size} {
    auto* memory = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(memory != MAP_FAILED);
    begin_ = static_cast<std::byte*>(memory);
    for (std::size_t i = 0; i < size_; ++i) begin_[i] = initial(i);
  }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  ~Pages() { ::munmap(begin_, size_); }

  /// What is at an offset at first: neighbours differ, and so do blocks and pages.
  [[nodiscard]] static std::byte initial(std::size_t offset) noexcept {
    return static_cast<std::byte>(offset * 31 + offset / 512 * 7);
  }
  [[nodiscard]] RemoteAddress address(std::size_t offset) const noexcept {
    return {reinterpret_cast<std::uint64_t>(begin_) + offset};  // NOLINT: an address as a number
  }
  void set(std::size_t offset, std::byte value) { begin_[offset] = value; }
  /// Takes one page away: nobody can read it until give_back().
  void take_away(std::size_t page) { REQUIRE(::munmap(begin_ + page * page_size, page_size) == 0); }
  void give_back(std::size_t page) {
    auto* at = begin_ + page * page_size;
    REQUIRE(::mmap(at, page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
            at);
  }

 private:
  std::byte* begin_ = nullptr;
  std::size_t size_;
};

/// Whether the bytes are those that Pages had at `offset` at first.
inline bool are_initial(std::span<const std::byte> bytes, std::size_t offset) {
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (bytes[i] != Pages::initial(offset + i)) return false;
  }
  return true;
}

}  // namespace sampler
