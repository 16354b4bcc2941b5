#include "sampler/cpython/line_table.h"

#include <limits>

namespace sampler {
namespace {

using Table = std::span<const std::byte>;

/// A line that can be: positive, and an int in CPython.
[[nodiscard]] std::optional<std::uint32_t> valid_line(std::int64_t line) noexcept {
  if (line <= 0 || line > std::numeric_limits<std::int32_t>::max()) return std::nullopt;
  return static_cast<std::uint32_t>(line);
}

[[nodiscard]] std::uint8_t unsigned_at(Table table, std::size_t at) noexcept {
  return std::to_integer<std::uint8_t>(table[at]);
}

[[nodiscard]] std::int8_t signed_at(Table table, std::size_t at) noexcept {
  return static_cast<std::int8_t>(unsigned_at(table, at));
}

/// Pairs of (bytes, lines): each moves on to the next place a line starts; the last line has no end.
[[nodiscard]] std::optional<std::uint32_t> lnotab_line(Table table, bool is_signed, std::int64_t first_line,
                                                       std::int64_t instruction) noexcept {
  std::int64_t address = 0;
  std::int64_t line = first_line;
  for (std::size_t at = 0; at + 1 < table.size(); at += 2) {
    address += unsigned_at(table, at);
    if (address > instruction) break;
    line += is_signed ? std::int64_t{signed_at(table, at + 1)} : std::int64_t{unsigned_at(table, at + 1)};
  }
  return valid_line(line);
}

/// Pairs of (bytes, lines): each is a range and its line, relative to the last range that had one.
[[nodiscard]] std::optional<std::uint32_t> pep626_line(Table table, std::int64_t first_line,
                                                       std::uint64_t unit) noexcept {
  constexpr std::int8_t no_line = -128;
  std::uint64_t end = 0;
  std::int64_t line = first_line;
  for (std::size_t at = 0; at + 1 < table.size(); at += 2) {
    const std::int8_t delta = signed_at(table, at + 1);
    end += unsigned_at(table, at);
    if (delta != no_line) line += delta;
    if (end > unit * 2) return delta == no_line ? std::nullopt : valid_line(line);
  }
  return std::nullopt;
}

/// The number in 6-bit groups, lowest first, its sign in the lowest bit; nothing where the table ends within
/// it or it has more than 32 bits.
[[nodiscard]] std::optional<std::int64_t> signed_varint(Table bytes) noexcept {
  std::uint64_t value = 0;
  for (std::size_t at = 0; at < bytes.size() && at < 6; ++at) {
    const std::uint64_t group = unsigned_at(bytes, at);
    value |= (group & 63) << (6 * at);
    if ((group & 64) != 0) continue;
    if (value > std::numeric_limits<std::uint32_t>::max()) return std::nullopt;
    const auto magnitude = static_cast<std::int64_t>(value >> 1);
    return (value & 1) != 0 ? -magnitude : magnitude;
  }
  return std::nullopt;
}

/// What one PEP 657 entry says of its range: Objects/locations.md in CPython's source.
struct LocationEntry {
  std::uint8_t code;

  [[nodiscard]] bool has_no_line() const noexcept { return code == 15; }
  [[nodiscard]] bool has_varint_line() const noexcept { return code == 13 || code == 14; }
  [[nodiscard]] bool has_line_in_code() const noexcept { return code >= 10 && code <= 12; }
};

[[nodiscard]] std::optional<std::int64_t> line_delta(LocationEntry entry, Table payload) noexcept {
  if (entry.has_varint_line()) return signed_varint(payload);
  return entry.has_line_in_code() ? entry.code - 10 : 0;
}

/// Only an entry's first byte has its highest bit set.
[[nodiscard]] std::size_t next_entry(Table table, std::size_t at) noexcept {
  do {
    ++at;
  } while (at < table.size() && (unsigned_at(table, at) & 128) == 0);
  return at;
}

[[nodiscard]] std::optional<std::uint32_t> pep657_line(Table table, std::int64_t first_line,
                                                       std::uint64_t unit) noexcept {
  std::uint64_t end = 0;
  std::int64_t line = first_line;
  for (std::size_t at = 0; at < table.size(); at = next_entry(table, at)) {
    const std::uint8_t head = unsigned_at(table, at);
    const LocationEntry entry{static_cast<std::uint8_t>((head >> 3) & 15)};
    const auto delta = line_delta(entry, table.subspan(at + 1));
    if (!delta) return std::nullopt;
    line += *delta;
    end += (head & 7U) + 1;
    if (end > unit) return entry.has_no_line() ? std::nullopt : valid_line(line);
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::uint32_t> line_at(LineTable coding, std::span<const std::byte> table,
                                     std::int32_t first_line, std::int64_t instruction) noexcept {
  if (instruction < 0) return valid_line(first_line);
  const auto unit = static_cast<std::uint64_t>(instruction);
  switch (coding) {
    case LineTable::lnotab_unsigned:
      return lnotab_line(table, false, first_line, instruction);
    case LineTable::lnotab_signed:
      return lnotab_line(table, true, first_line, instruction);
    case LineTable::pep626:
      return pep626_line(table, first_line, unit);
    case LineTable::pep657:
      return pep657_line(table, first_line, unit);
  }
  return std::nullopt;
}

}  // namespace sampler
