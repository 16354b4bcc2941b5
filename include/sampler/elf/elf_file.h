#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "sampler/base/unique_fd.h"

namespace sampler {

/// A section's place in memory (before relocation) and in the file.
struct ElfSection {
  std::string name;
  std::uint32_t type = 0;
  std::uint32_t link = 0;
  std::uint64_t address = 0;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};

/// Where a symbol is before relocation, and how many bytes it names; 0 where the file does not say.
struct ElfSymbol {
  std::uint64_t address = 0;
  std::uint64_t size = 0;

  friend bool operator==(const ElfSymbol&, const ElfSymbol&) = default;
};

/// Symbols by name.
using ElfSymbols = std::unordered_map<std::string, ElfSymbol>;

/// What the dynamic loader does with the names that a file has in common with others.
struct ElfReference {
  std::optional<std::uint64_t> slot;  ///< a word that it fills with the address that is used for the name
  bool is_copied = false;  ///< the symbol is a program's copy of a library's, which all use instead
};

/// References by name.
using ElfReferences = std::unordered_map<std::string, ElfReference>;

/// A part of a file that is mapped: from where on in memory and in the file.
struct MappedPart {
  std::uint64_t start = 0;
  std::uint64_t file_offset = 0;

  friend bool operator<(const MappedPart& a, const MappedPart& b) noexcept {
    return std::tie(a.start, a.file_offset) < std::tie(b.start, b.file_offset);
  }
};

/// A 64-bit x86-64 ELF file. It is read with pread(2), never mapped: a file that shrinks while we look is an
/// error and not a SIGBUS. Every number in it is checked against the file's size before it is used.
class ElfFile {
 public:
  /// Nothing where the file is no 64-bit little-endian x86-64 ELF file with sane headers.
  [[nodiscard]] static std::optional<ElfFile> open(UniqueFd file);

  /// The first section of that name.
  [[nodiscard]] const ElfSection* section(std::string_view name) const;
  /// Those of `names` that are defined, in .dynsym or, where that lacks one, .symtab. Looked up by the hash
  /// table where there is one; the tables themselves are gone through in small parts, never loaded.
  [[nodiscard]] ElfSymbols symbols(std::span<const std::string_view> names) const;
  /// What the loader is told of those of `names` that the file defines, and nothing of the others: without it
  /// they are the file's own.
  [[nodiscard]] ElfReferences references(std::span<const std::string_view> names) const;
  /// Bytes of the file that are loaded at `address`; nothing where it loads none there.
  [[nodiscard]] std::optional<std::vector<std::byte>> bytes_at(std::uint64_t address,
                                                               std::size_t count) const;
  /// A section's bytes, at most `limit`; empty where they cannot be read.
  [[nodiscard]] std::vector<std::byte> contents(const ElfSection& section, std::uint64_t limit) const;

  /// The first address that the file's segments take, and the one after the last.
  [[nodiscard]] std::pair<std::uint64_t, std::uint64_t> extent() const noexcept;

  /// What to add to the file's addresses in each place where it is loaded, by where its parts are mapped; 16
  /// at most, the most complete first. Two of its segments, where it has so many, are mapped there as its
  /// headers say: a file that is mapped as data, or a slice of it, is not loaded.
  [[nodiscard]] std::vector<std::uint64_t> load_biases(std::span<const MappedPart> parts) const;

 private:
  struct Segment {
    std::uint64_t offset = 0;
    std::uint64_t address = 0;
    std::uint64_t file_size = 0;
    std::uint64_t memory_size = 0;

    /// Where the kernel, which maps whole pages, begins with it.
    [[nodiscard]] MappedPart first_page() const noexcept;
  };
  /// A symbol and its place in its table.
  struct Found {
    ElfSymbol symbol;
    std::uint64_t index = 0;
  };
  using FoundSymbols = std::unordered_map<std::string, Found>;

  ElfFile(UniqueFd file, std::uint64_t size) : file_{std::move(file)}, size_{size} {}
  [[nodiscard]] bool read_headers();
  [[nodiscard]] std::vector<std::byte> read(std::uint64_t offset, std::uint64_t count) const;
  /// At most `count` bytes of a section from `offset` on; empty where it ends, or is not all in the file.
  [[nodiscard]] std::vector<std::byte> part(const ElfSection& section, std::uint64_t offset,
                                            std::uint64_t count) const;
  [[nodiscard]] bool is_named(const ElfSection& texts, std::uint64_t offset, std::string_view name) const;
  [[nodiscard]] std::optional<Found> look_up(const ElfSection& hashes, std::string_view name) const;
  [[nodiscard]] std::map<std::uint64_t, std::string_view> places_of(std::span<const std::string_view> names,
                                                                    const ElfSection& texts) const;
  void scan(const ElfSection& table, std::span<const std::string_view> names, FoundSymbols& found) const;
  /// Those of `names` that other files may use too.
  [[nodiscard]] FoundSymbols exported(std::span<const std::string_view> names) const;
  /// How many segments are mapped where they are with this bias, by the parts in their order.
  [[nodiscard]] std::size_t count_mapped(std::uint64_t bias, std::span<const MappedPart> sorted) const;

  UniqueFd file_;
  std::uint64_t size_;
  std::vector<ElfSection> sections_;
  std::vector<Segment> loads_;
};

}  // namespace sampler
