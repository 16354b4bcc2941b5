#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
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

/// Reads the words of one GIL.
class GilProbe {
 public:
  /// The bytes of the words, as read.
  using Words = std::array<std::byte, 32>;

  /// The GIL at `addresses`, of a Python that has one.
  GilProbe(const Layout& layout, const GilAddresses& addresses);

  /// What to read, into `words`.
  [[nodiscard]] std::vector<RemoteRange> ranges(Words& words) const;
  [[nodiscard]] GilState decode(const Words& words) const;
  /// Whether a blocked thread waits for the GIL: its futex is inside the GIL's lock.
  [[nodiscard]] bool is_wait_for_gil(const BlockedCall& call, const Words& words) const;

 private:
  struct Word {
    RemoteAddress address;
    std::uint32_t size = 0;
    std::uint32_t place = 0;  ///< in Words
  };

  /// Gives each word its place.
  void place();
  /// One of the words; 0 where this GIL has none such.
  template <class T>
  [[nodiscard]] T word(const Words& words, std::size_t index) const;

  GilKind kind_;
  std::vector<Word> words_;
  AddressRange whole_;  ///< of all words, where one read has them all
  std::vector<AddressRange> waits_;
};

/// The words of every GIL of a process: put first and last in a batch of reads, they tell which threads could
/// not change their frames meanwhile. From 3.12 on an interpreter may have a GIL of its own.
class GilGuard {
 public:
  explicit GilGuard(const PythonRuntime& runtime);
  GilGuard(const GilGuard&) = delete;
  GilGuard& operator=(const GilGuard&) = delete;

  /// False for a free-threaded Python: its threads change their frames whenever they run.
  [[nodiscard]] bool has_gil() const noexcept { return !gils_.empty(); }
  /// Guards these structs beside the main interpreter's from now on. False where that changed nothing.
  bool guard(const std::vector<RemoteAddress>& structs);

  /// What to read first, and last.
  [[nodiscard]] const std::vector<RemoteRange>& before() const noexcept { return before_; }
  [[nodiscard]] const std::vector<RemoteRange>& after() const noexcept { return after_; }
  /// What was read first, and last: one state for each GIL, the main interpreter's first.
  [[nodiscard]] std::vector<GilState> state_before() const;
  [[nodiscard]] std::vector<GilState> state_after() const;
  /// Whether a blocked thread waits for a GIL.
  [[nodiscard]] bool is_wait_for_gil(const BlockedCall& call) const;

 private:
  /// One GIL. On the heap, for the ranges point into it.
  struct Gil {
    RemoteAddress address;
    GilProbe probe;
    GilProbe::Words before{}, after{};
  };

  void add(const GilAddresses& addresses);
  void plan();

  std::shared_ptr<const Layout> layout_;
  std::vector<std::unique_ptr<Gil>> gils_;
  std::vector<RemoteRange> before_, after_;
};

/// Whether a thread state holds one of the GILs.
[[nodiscard]] bool is_holder(const std::vector<GilState>& gils, RemoteAddress thread_state);
/// Whether a thread state held one of the GILs last: it may hold it still.
[[nodiscard]] bool is_last_holder(const std::vector<GilState>& gils, RemoteAddress thread_state);
/// Whether all of the GILs count their switches.
[[nodiscard]] bool count_switches(const std::vector<GilState>& gils);

}  // namespace sampler
