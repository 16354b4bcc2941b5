#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "sampler/cpython/python_runtime.h"
#include "sampler/memory/process_memory.h"
#include "sampler/process/thread_watch.h"

namespace sampler {

/// What the GIL's words say at one moment.
struct GilState {
  bool is_ready = true;  ///< false before the GIL is made and while no thread state can be told from it
  RemoteAddress holder;  ///< the thread state that holds it; null where nobody does
  RemoteAddress
      last_holder;  ///< who held it last, the holder included; null where this Python does not record it
  std::optional<std::uint64_t>
      switches;  ///< counts changes of last_holder; nothing where this Python does not count

  friend bool operator==(const GilState&, const GilState&) = default;
};

/// Reads the words of one interpreter's GIL: put first and last in a batch of reads, they tell which threads
/// could not change their frames meanwhile.
class GilProbe {
 public:
  /// The bytes of the words, as read.
  using Words = std::array<std::byte, 32>;

  explicit GilProbe(const PythonRuntime& runtime);

  /// What to read, into `words`.
  [[nodiscard]] std::vector<RemoteRange> ranges(Words& words) const;
  [[nodiscard]] GilState decode(const Words& words) const;
  /// Whether a blocked thread waits for the GIL: its futex is inside the GIL's lock.
  [[nodiscard]] bool is_wait_for_gil(const BlockedCall& call, const Words& words) const;

 private:
  struct Word {
    RemoteAddress address;
    std::uint32_t size;
  };
  struct AddressRange {
    RemoteAddress begin;
    std::uint64_t size;
  };

  GilKind kind_;
  std::vector<Word> words_;
  std::vector<AddressRange> waits_;
};

}  // namespace sampler
