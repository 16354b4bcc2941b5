#include <charconv>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "sampler/cpython/line_table.h"

// Compares line_at() with the lines that a CPython gave (tests/targets/dump_line_tables.py, on standard
// input).

namespace {

using sampler::LineTable;

const std::map<std::string_view, LineTable> codings{
    {"lnotab_unsigned", LineTable::lnotab_unsigned},
    {"lnotab_signed", LineTable::lnotab_signed},
    {"pep626", LineTable::pep626},
    {"pep657", LineTable::pep657},
};

constexpr std::size_t differences_shown = 10;

struct Code {
  std::int32_t first_line = 0;
  std::vector<std::byte> table;
  std::string name;
};

struct Totals {
  std::size_t codes = 0, offsets = 0, differences = 0;
};

std::optional<std::vector<std::byte>> parse_hex(std::string_view text) {
  std::vector<std::byte> bytes;
  if (text == "-") return bytes;
  if (text.size() % 2 != 0) return std::nullopt;
  for (; !text.empty(); text.remove_prefix(2)) {
    std::uint8_t value = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + 2, value, 16);
    if (parsed.ptr != text.data() + 2) return std::nullopt;
    bytes.push_back(std::byte{value});
  }
  return bytes;
}

std::optional<Code> parse_code(const std::string& line) {
  std::istringstream words{line};
  std::string tag;
  std::string hex;
  Code code;
  if (!(words >> tag >> code.first_line >> hex >> code.name) || tag != "code") return std::nullopt;
  const auto table = parse_hex(hex);
  if (!table) return std::nullopt;
  code.table = *table;
  return code;
}

void show(const Code& code, std::int64_t offset, std::int64_t expected, std::optional<std::uint32_t> line) {
  std::cout << code.name << " (line " << code.first_line << ") at " << offset << ": CPython says " << expected
            << ", the decoder " << (line ? std::to_string(*line) : "nothing") << '\n';
}

/// A line of 0 or -1 is none to the decoder: no source has it.
bool agrees(std::int64_t expected, std::optional<std::uint32_t> line) {
  return expected <= 0 ? !line.has_value() : line == expected;
}

bool compare_lines(LineTable coding, const Code& code, const std::string& lines, Totals& totals) {
  std::istringstream words{lines};
  std::string tag;
  if (!(words >> tag) || tag != "lines") return false;
  std::int64_t expected = 0;
  for (std::int64_t offset = 0; words >> expected; ++offset) {
    const auto line = sampler::line_at(coding, code.table, code.first_line, offset);
    ++totals.offsets;
    if (agrees(expected, line)) continue;
    if (totals.differences++ < differences_shown) show(code, offset, expected, line);
  }
  return words.eof();
}

bool compare_all(LineTable coding, std::istream& input, Totals& totals) {
  std::string head;
  std::string lines;
  while (std::getline(input, head)) {
    const auto code = parse_code(head);
    if (!code || !std::getline(input, lines) || !compare_lines(coding, *code, lines, totals)) return false;
    ++totals.codes;
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  const auto coding = argc == 2 ? codings.find(argv[1]) : codings.end();
  if (coding == codings.end()) {
    std::cerr << "usage: line_table_probe lnotab_unsigned|lnotab_signed|pep626|pep657\n";
    return 2;
  }
  Totals totals;
  const bool well_formed = compare_all(coding->second, std::cin, totals);
  if (!well_formed) std::cerr << "the input is malformed after " << totals.codes << " code objects\n";
  std::cout << totals.offsets << " offsets of " << totals.codes << " code objects compared, "
            << totals.differences << " differences\n";
  return well_formed && totals.differences == 0 ? 0 : 1;
}
