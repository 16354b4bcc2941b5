#include "sampler/cpython/line_table.h"

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <optional>
#include <vector>

#include "catch.h"

namespace {

using sampler::line_at;
using sampler::LineTable;

std::vector<std::byte> bytes(std::initializer_list<int> values) {
  std::vector<std::byte> result;
  for (const int value : values) result.push_back(static_cast<std::byte>(value));
  return result;
}

constexpr std::int32_t largest_line = std::numeric_limits<std::int32_t>::max();

}  // namespace

TEST_CASE("code that has not started is on its first line, in every coding", "[cpython]") {
  const auto table = bytes({0, 5});
  CHECK(line_at(LineTable::lnotab_unsigned, table, 7, -1) == 7U);
  CHECK(line_at(LineTable::lnotab_signed, table, 7, -1) == 7U);
  CHECK(line_at(LineTable::pep626, table, 7, -1) == 7U);
  CHECK(line_at(LineTable::pep657, table, 7, -2) == 7U);
}

TEST_CASE("without a table lnotab code is on its first line and range code on none", "[cpython]") {
  CHECK(line_at(LineTable::lnotab_unsigned, {}, 7, 0) == 7U);
  CHECK(line_at(LineTable::lnotab_signed, {}, 7, 100) == 7U);
  CHECK_FALSE(line_at(LineTable::pep626, {}, 7, 0));
  CHECK_FALSE(line_at(LineTable::pep657, {}, 7, 0));
}

TEST_CASE("an lnotab line starts exactly where its bytes say", "[cpython]") {
  const auto table = bytes({0, 1, 6, 2});
  CHECK(line_at(LineTable::lnotab_signed, table, 10, 0) == 11U);
  CHECK(line_at(LineTable::lnotab_signed, table, 10, 5) == 11U);
  CHECK(line_at(LineTable::lnotab_signed, table, 10, 6) == 13U);
}

TEST_CASE("the last lnotab line has no end", "[cpython]") {
  CHECK(line_at(LineTable::lnotab_signed, bytes({2, 1}), 10, std::numeric_limits<std::int64_t>::max()) ==
        11U);
}

TEST_CASE("an lnotab line delta above 127 goes forward in the unsigned coding and back in the signed one",
          "[cpython]") {
  const auto table = bytes({0, 255});
  CHECK(line_at(LineTable::lnotab_unsigned, table, 300, 0) == 555U);
  CHECK(line_at(LineTable::lnotab_signed, table, 300, 0) == 299U);
}

TEST_CASE("the odd last byte of a table of pairs is left alone", "[cpython]") {
  CHECK(line_at(LineTable::lnotab_signed, bytes({0, 1, 0}), 10, 50) == 11U);
  CHECK(line_at(LineTable::pep626, bytes({2, 1, 4}), 10, 0) == 11U);
  CHECK_FALSE(line_at(LineTable::pep626, bytes({2, 1, 4}), 10, 1));
}

TEST_CASE("the end of a PEP 626 range is not part of it", "[cpython]") {
  const auto table = bytes({4, 1, 2, 3});
  CHECK(line_at(LineTable::pep626, table, 10, 1) == 11U);
  CHECK(line_at(LineTable::pep626, table, 10, 2) == 14U);
  CHECK_FALSE(line_at(LineTable::pep626, table, 10, 3));
}

TEST_CASE("a PEP 626 range without a line leaves the line of the next one alone", "[cpython]") {
  const auto table = bytes({2, 1, 2, 0x80, 2, 1});
  CHECK(line_at(LineTable::pep626, table, 10, 0) == 11U);
  CHECK_FALSE(line_at(LineTable::pep626, table, 10, 1));
  CHECK(line_at(LineTable::pep626, table, 10, 2) == 12U);
}

TEST_CASE("an empty PEP 626 range moves the line only", "[cpython]") {
  CHECK(line_at(LineTable::pep626, bytes({0, 127, 2, 1}), 10, 0) == 138U);
}

TEST_CASE("every form of a PEP 657 entry has its line", "[cpython]") {
  const auto short_form = 0x80;
  const auto one_line_2 = 0x80 | (12 << 3);
  const auto no_column = 0x80 | (13 << 3);
  const auto long_form = 0x80 | (14 << 3);
  const auto none = 0x80 | (15 << 3);
  const auto table = bytes(
      {short_form, 0x11, one_line_2, 1, 2, no_column, 7, none, long_form, 8, 0, 1, 1, short_form | 1, 0});
  CHECK(line_at(LineTable::pep657, table, 10, 0) == 10U);
  CHECK(line_at(LineTable::pep657, table, 10, 1) == 12U);
  CHECK(line_at(LineTable::pep657, table, 10, 2) == 9U);
  CHECK_FALSE(line_at(LineTable::pep657, table, 10, 3));
  CHECK(line_at(LineTable::pep657, table, 10, 4) == 13U);
  CHECK(line_at(LineTable::pep657, table, 10, 6) == 13U);
  CHECK_FALSE(line_at(LineTable::pep657, table, 10, 7));
}

TEST_CASE("a PEP 657 line delta may take several bytes", "[cpython]") {
  CHECK(line_at(LineTable::pep657, bytes({0xE8, 0x40, 0x41, 0x01}), 1, 0) ==
        1U + ((1U << 6) + (1U << 12)) / 2);
}

TEST_CASE("a PEP 657 line delta that its table cuts off has no line", "[cpython]") {
  CHECK_FALSE(line_at(LineTable::pep657, bytes({0xE8}), 10, 0));
  CHECK_FALSE(line_at(LineTable::pep657, bytes({0xE8, 0x40}), 10, 0));
  CHECK_FALSE(line_at(LineTable::pep657, bytes({0xF0, 0x7F, 0x7F}), 10, 0));
}

TEST_CASE("a PEP 657 line delta that never ends has no line", "[cpython]") {
  const std::vector<std::byte> endless(1'000, std::byte{0x7F});
  auto table = bytes({0xE8});
  table.insert(table.end(), endless.begin(), endless.end());
  CHECK_FALSE(line_at(LineTable::pep657, table, 10, 0));
}

TEST_CASE("a line that no source can have is none", "[cpython]") {
  CHECK_FALSE(line_at(LineTable::lnotab_signed, {}, 0, 0));
  CHECK_FALSE(line_at(LineTable::lnotab_signed, {}, -5, -1));
  CHECK_FALSE(line_at(LineTable::lnotab_signed, bytes({0, 0xFF}), 1, 0));
  CHECK_FALSE(line_at(LineTable::pep626, bytes({2, 1}), largest_line, 0));
  CHECK(line_at(LineTable::pep626, bytes({2, 0}), largest_line, 0) == 2'147'483'647U);
}

TEST_CASE("an instruction far outside the table has no line", "[cpython]") {
  const auto beyond = std::numeric_limits<std::int64_t>::max();
  CHECK_FALSE(line_at(LineTable::pep626, bytes({255, 1}), 10, beyond));
  CHECK_FALSE(line_at(LineTable::pep657, bytes({0x87, 0}), 10, beyond));
}
