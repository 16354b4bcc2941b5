#include "sampler/memory/overlay.h"

#include <array>
#include <cerrno>
#include <optional>
#include <vector>

#include "catch.h"
#include "test_memory.h"

namespace sampler {
namespace {

constexpr std::byte changed{0xEE};

/// An overlay of our own memory.
class Fixture {
 public:
  explicit Fixture(std::size_t page_count = 2) : pages{page_count} {}

  [[nodiscard]] bool fetch() { return overlay.fetch({}, {}); }
  /// One byte; nothing where it cannot be read.
  [[nodiscard]] std::optional<std::byte> at(std::size_t offset) {
    const auto byte = read_as<std::byte>(overlay, pages.address(offset));
    return byte ? std::optional{*byte} : std::nullopt;
  }
  /// Makes the overlay predict the block at an offset.
  void teach(std::size_t offset) {
    REQUIRE(at(offset));
    REQUIRE(fetch());
  }

 private:
  ProcessMemory memory_{Process{Pid{::getpid()}}};

 public:
  Pages pages;
  Overlay overlay{memory_};
};

}  // namespace

TEST_CASE("an overlay reads what is there", "[memory]") {
  Fixture target;
  std::array<std::byte, 24> bytes;
  REQUIRE(target.overlay.read(target.pages.address(40), bytes));
  CHECK(are_initial(bytes, 40));
}

TEST_CASE("what was read once is predicted: changes show with the next fetch only", "[memory]") {
  Fixture target;
  target.teach(10);
  target.pages.set(10, changed);
  CHECK(target.at(10) == Pages::initial(10));
  REQUIRE(target.fetch());
  CHECK(target.at(10) == changed);
}

TEST_CASE("what was read beyond the prediction stays as it was read until the next fetch", "[memory]") {
  Fixture target;
  REQUIRE(target.fetch());
  CHECK(target.at(10) == Pages::initial(10));
  target.pages.set(10, changed);
  CHECK(target.at(10) == Pages::initial(10));
}

TEST_CASE("a sample that reads what was predicted misses nothing", "[memory]") {
  Fixture target;
  target.teach(10);
  CHECK(target.at(10));
  CHECK(target.at(500));
  CHECK_FALSE(target.overlay.has_missed());
}

TEST_CASE("a sample that reads anything else has missed, until the next fetch", "[memory]") {
  Fixture target;
  target.teach(10);
  CHECK(target.at(10));
  CHECK(target.at(512));
  CHECK(target.overlay.has_missed());
  CHECK(target.at(10));
  CHECK(target.overlay.has_missed());
  REQUIRE(target.fetch());
  CHECK_FALSE(target.overlay.has_missed());
  CHECK(target.at(512));
  CHECK_FALSE(target.overlay.has_missed());
}

TEST_CASE("a block is predicted while a sample in `patience` reads it", "[memory]") {
  Fixture target;
  target.teach(10);
  REQUIRE(target.at(10));
  for (std::uint32_t i = 0; i < Overlay::patience; ++i) REQUIRE(target.fetch());
  CHECK(target.at(10));
  CHECK_FALSE(target.overlay.has_missed());
  for (std::uint32_t i = 0; i < Overlay::patience; ++i) REQUIRE(target.fetch());
  CHECK(target.at(10));
  CHECK_FALSE(target.overlay.has_missed());
}

TEST_CASE("a block that no sample reads for longer than `patience` is forgotten", "[memory]") {
  Fixture target;
  target.teach(10);
  REQUIRE(target.at(10));
  for (std::uint32_t i = 0; i < Overlay::patience + 2; ++i) REQUIRE(target.fetch());
  CHECK(target.at(10));
  CHECK(target.overlay.has_missed());
}

TEST_CASE("without patience only what the last sample read is predicted", "[memory]") {
  ProcessMemory memory{Process{Pid{::getpid()}}};
  const Pages pages{2};
  Overlay overlay{memory, 0};
  REQUIRE(read_as<std::byte>(overlay, pages.address(10)));
  REQUIRE(overlay.fetch({}, {}));
  REQUIRE(read_as<std::byte>(overlay, pages.address(10)));
  CHECK_FALSE(overlay.has_missed());
  REQUIRE(overlay.fetch({}, {}));
  REQUIRE(overlay.fetch({}, {}));
  REQUIRE(read_as<std::byte>(overlay, pages.address(10)));
  CHECK(overlay.has_missed());
}

TEST_CASE("a range across blocks is put together", "[memory]") {
  Fixture target;
  std::array<std::byte, 2000> bytes;
  target.teach(600);
  REQUIRE(target.overlay.read(target.pages.address(300), bytes));
  CHECK(are_initial(bytes, 300));
  CHECK(target.overlay.has_missed());
  REQUIRE(target.fetch());
  REQUIRE(target.overlay.read(target.pages.address(300), bytes));
  CHECK(are_initial(bytes, 300));
  CHECK_FALSE(target.overlay.has_missed());
}

TEST_CASE("blocks read in any order are all predicted", "[memory]") {
  Fixture target;
  REQUIRE(target.at(7000));
  REQUIRE(target.at(0));
  REQUIRE(target.at(1024));
  REQUIRE(target.at(512));
  REQUIRE(target.fetch());
  CHECK(target.at(1024) == Pages::initial(1024));
  CHECK(target.at(7000) == Pages::initial(7000));
  CHECK(target.at(0) == Pages::initial(0));
  CHECK(target.at(512) == Pages::initial(512));
  CHECK_FALSE(target.overlay.has_missed());
}

TEST_CASE("an unreadable block is an error that says what was asked for", "[memory]") {
  Fixture target;
  target.pages.take_away(1);
  std::array<std::byte, 100> bytes;
  const auto read = target.overlay.read(target.pages.address(4090), bytes);
  REQUIRE_FALSE(read);
  CHECK(read.error().address == target.pages.address(4090));
  CHECK(read.error().length == 100);
  CHECK(read.error().code == EFAULT);
}

TEST_CASE("a predicted block that has become unreadable is an error and its neighbours are not", "[memory]") {
  Fixture target;
  REQUIRE(target.at(4095));
  REQUIRE(target.at(4096));
  REQUIRE(target.at(0));
  target.pages.take_away(1);
  REQUIRE(target.fetch());
  CHECK(target.at(0) == Pages::initial(0));
  CHECK(target.at(4095) == Pages::initial(4095));
  CHECK_FALSE(target.at(4096));
}

TEST_CASE("a block that can be read again is read and predicted again", "[memory]") {
  Fixture target;
  target.teach(4096);
  target.pages.take_away(1);
  REQUIRE(target.fetch());
  CHECK_FALSE(target.at(4096));
  target.pages.give_back(1);
  target.pages.set(4096, changed);
  REQUIRE(target.fetch());
  CHECK(target.at(4096) == changed);
  REQUIRE(target.fetch());
  CHECK(target.at(4096) == changed);
  CHECK_FALSE(target.overlay.has_missed());
}

TEST_CASE("a long read goes past the overlay", "[memory]") {
  Fixture target{8};
  std::vector<std::byte> bytes(Overlay::most_copied + 1);
  target.teach(10);
  target.pages.set(10, changed);
  REQUIRE(target.overlay.read(target.pages.address(0), bytes));
  CHECK(bytes[10] == changed);
  CHECK(are_initial(std::span{bytes}.subspan(11), 11));
  CHECK(target.overlay.has_missed());
}

TEST_CASE("the longest read that is copied is predicted", "[memory]") {
  Fixture target{8};
  std::vector<std::byte> bytes(Overlay::most_copied);
  REQUIRE(target.overlay.read(target.pages.address(0), bytes));
  REQUIRE(target.fetch());
  REQUIRE(target.overlay.read(target.pages.address(0), bytes));
  CHECK(are_initial(bytes, 0));
  CHECK_FALSE(target.overlay.has_missed());
}

TEST_CASE("a long read of what is not there is an error", "[memory]") {
  Fixture target{8};
  target.pages.take_away(4);
  std::vector<std::byte> bytes(Overlay::most_copied + 1);
  CHECK_FALSE(target.overlay.read(target.pages.address(0), bytes));
}

TEST_CASE("guards are read with the blocks, also where they are in them", "[memory]") {
  Fixture target;
  target.teach(512);
  std::array<std::byte, 8> before{};
  std::array<std::byte, 8> after{};
  const std::array first{RemoteRange{target.pages.address(100), before}};
  const std::array last{RemoteRange{target.pages.address(520), after}};
  CHECK(target.overlay.fetch(first, last));
  CHECK(are_initial(before, 100));
  CHECK(are_initial(after, 520));
  CHECK(target.at(512) == Pages::initial(512));
  CHECK_FALSE(target.overlay.has_missed());
}

TEST_CASE("a guard that cannot be read makes the fetch fail but the blocks are there", "[memory]") {
  Fixture target;
  target.teach(512);
  target.pages.take_away(1);
  std::array<std::byte, 8> good{};
  std::array<std::byte, 8> bad{};
  const std::array readable{RemoteRange{target.pages.address(100), good}};
  const std::array unreadable{RemoteRange{target.pages.address(4096), bad}};
  CHECK_FALSE(target.overlay.fetch(unreadable, readable));
  CHECK_FALSE(target.overlay.fetch(readable, unreadable));
  CHECK(target.at(512) == Pages::initial(512));
  CHECK_FALSE(target.overlay.has_missed());
}

TEST_CASE("an unreadable block is no unreadable guard", "[memory]") {
  Fixture target;
  target.teach(4096);
  target.pages.take_away(1);
  std::array<std::byte, 8> before{};
  std::array<std::byte, 8> after{};
  const std::array first{RemoteRange{target.pages.address(0), before}};
  const std::array last{RemoteRange{target.pages.address(64), after}};
  CHECK(target.overlay.fetch(first, last));
  CHECK(are_initial(after, 64));
}

TEST_CASE("an address at the end of the address space is an error", "[memory]") {
  Fixture target;
  std::array<std::byte, 64> bytes;
  CHECK_FALSE(target.overlay.read({~std::uint64_t{0} - 3}, bytes));
}

TEST_CASE("what two fetches in a row copied is unchanged up to the first byte that differs", "[memory]") {
  Fixture target;
  target.teach(0);
  target.teach(512);
  REQUIRE(target.fetch());
  CHECK(target.overlay.count_unchanged(target.pages.address(100), 800) == 800);
  target.pages.set(700, changed);
  CHECK(target.at(0));
  CHECK(target.at(512));
  REQUIRE(target.fetch());
  CHECK(target.overlay.count_unchanged(target.pages.address(100), 800) == 600);
  CHECK(target.overlay.count_unchanged(target.pages.address(100), 600) == 600);
  CHECK(target.overlay.count_unchanged(target.pages.address(700), 100) == 0);
  // What differs before the bytes asked for is not theirs, in the same block too.
  CHECK(target.overlay.count_unchanged(target.pages.address(701), 100) == 100);
  CHECK(target.at(0));
  CHECK(target.at(512));
  REQUIRE(target.fetch());
  CHECK(target.overlay.count_unchanged(target.pages.address(100), 800) == 800);
}

TEST_CASE("of what one fetch only copied nothing is known to be unchanged", "[memory]") {
  Fixture target;
  CHECK(target.at(0));
  CHECK(target.overlay.count_unchanged(target.pages.address(0), 8) == 0);
  REQUIRE(target.fetch());
  CHECK(target.overlay.count_unchanged(target.pages.address(0), 8) == 0);
  CHECK(target.overlay.count_unchanged(target.pages.address(508), 8) == 0);
  REQUIRE(target.fetch());
  CHECK(target.overlay.count_unchanged(target.pages.address(0), 8) == 8);
  CHECK(target.overlay.count_unchanged(target.pages.address(508), 8) == 0);
}

TEST_CASE("bytes that were fetched are at hand, across blocks too", "[memory]") {
  Fixture target;
  CHECK(target.overlay.view(target.pages.address(0), 8) == nullptr);
  target.teach(0);
  target.teach(512);
  const auto* const bytes = target.overlay.view(target.pages.address(500), 24);
  REQUIRE(bytes != nullptr);
  CHECK(are_initial({bytes, 24}, 500));
  CHECK(target.overlay.view(target.pages.address(1020), 8) == nullptr);
}

}  // namespace sampler
