#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "catch.h"
#include "sampler/cpython/debug_offsets.h"

namespace sampler {

/// A table of its own offsets as a CPython from 3.13 on publishes it. What a struct shares with every object
/// is where a real build has it; all other offsets are made up: beyond those that layout files themselves
/// have, 8 bytes apart.
class FakeTable {
 public:
  static constexpr std::uint64_t struct_size = 384;

  FakeTable(TableSchema schema, PythonVersion version) : schema_{std::move(schema)} {
    constexpr std::uint64_t first_offset = 128;
    bytes_.resize(schema_.words.size() * sizeof(std::uint64_t));
    std::map<std::string, std::uint64_t> taken;  // by struct
    for (const auto& word : schema_.words) {
      const auto group = word.substr(0, word.find('.'));
      set(word, word.ends_with(".size") ? struct_size : first_offset + 8 * taken[group]++);
    }
    for (const auto& shared : shared_words) {
      if (has(shared.word)) set(shared.word, version.free_threaded ? shared.free_threaded : shared.usual);
    }
    std::memcpy(bytes_.data(), "xdebugpy", 8);
    set("version", hex(version) + 0x01F0);
    set("free_threaded", version.free_threaded ? 1 : 0);
  }

  void set(std::string_view word, std::uint64_t value) {
    std::memcpy(bytes_.data() + place_of(word), &value, sizeof value);
  }
  /// The words from this one on are missing.
  void cut_before(std::string_view word) { bytes_.resize(place_of(word)); }

  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return bytes_; }
  /// Only while this lives.
  [[nodiscard]] DebugOffsets offsets() const { return {schema_, bytes_}; }

 private:
  struct SharedWord {
    std::string_view word;
    std::uint64_t usual, free_threaded;
  };
  static constexpr std::array<SharedWord, 10> shared_words{{
      {"pyobject.size", 16, 32},
      {"pyobject.ob_type", 8, 24},
      {"bytes_object.size", 40, 56},
      {"bytes_object.ob_size", 16, 32},
      {"bytes_object.ob_sval", 32, 48},
      {"unicode_object.size", 64, 80},
      {"unicode_object.length", 16, 32},
      {"unicode_object.state", 32, 48},
      {"unicode_object.asciiobject_size", 40, 56},
      {"interpreter_frame.localsplus", struct_size - 8, struct_size - 8},  // the last: locals follow
  }};

  [[nodiscard]] static std::uint64_t hex(PythonVersion version) {
    return static_cast<std::uint64_t>(version.major) << 24U | static_cast<std::uint64_t>(version.minor)
                                                                  << 16U;
  }
  [[nodiscard]] bool has(std::string_view word) const {
    return std::find(schema_.words.begin(), schema_.words.end(), word) != schema_.words.end();
  }
  [[nodiscard]] std::size_t place_of(std::string_view word) const {
    const auto found = std::find(schema_.words.begin(), schema_.words.end(), word);
    REQUIRE(found != schema_.words.end());
    return static_cast<std::size_t>(found - schema_.words.begin()) * sizeof(std::uint64_t);
  }

  TableSchema schema_;
  std::vector<std::byte> bytes_;
};

}  // namespace sampler
