#include "sampler/elf/elf_file.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <utility>

#include "catch.h"
#include "sampler/base/file.h"
#include "sampler/process/maps.h"

extern "C" int sampler_elf_test_marker(int value) {
  return value * 3 + 1;
}

namespace sampler {
namespace {

constexpr std::array<std::string_view, 1> marker{"sampler_elf_test_marker"};

UniqueFd file_of(std::span<const std::byte> bytes) {
  UniqueFd file{::memfd_create("elf", MFD_CLOEXEC)};
  REQUIRE(file);
  REQUIRE(::write(file.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  return file;
}

std::optional<ElfFile> open_bytes(std::span<const std::byte> bytes) {
  return ElfFile::open(file_of(bytes));
}

ElfFile own_file() {
  auto file = open_file("/proc/self/exe", O_RDONLY);
  REQUIRE(file);
  auto elf = ElfFile::open(std::move(*file));
  REQUIRE(elf);
  return std::move(*elf);
}

/// What to add to the addresses of our own file.
std::uint64_t own_bias(const ElfFile& elf) {
  const auto path = read_link("/proc/self/exe");
  const auto maps = read_file("/proc/self/maps");
  REQUIRE(path);
  REQUIRE(maps);
  std::vector<MappedPart> parts;
  for (const auto& mapping : parse_maps(*maps)) {
    if (mapping.path == *path) parts.push_back({mapping.start.value, mapping.file_offset});
  }
  const auto biases = elf.load_biases(parts);
  REQUIRE(biases.size() == 1);
  return biases.front();
}

/// A little file with one segment and the symbols `here`, `there`, an undefined one and one without a place.
class LittleElf {
 public:
  static constexpr std::uint64_t load_address = 0x401000;
  static constexpr std::uint64_t load_offset = 0x100;

  LittleElf() {
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_machine = EM_X86_64;
    header.e_phentsize = sizeof(Elf64_Phdr);
    header.e_shentsize = sizeof(Elf64_Shdr);
    header.e_phnum = 1;
    header.e_shnum = 5;
    header.e_shstrndx = 4;
    header.e_phoff = segment_at;
    header.e_shoff = sections_at;
    segment.p_type = PT_LOAD;
    segment.p_offset = load_offset;
    segment.p_vaddr = load_address;
    segment.p_filesz = 64;
    segment.p_memsz = 4096;
    sections[1] = make_section(1, SHT_DYNSYM, symbols_at, sizeof symbols);
    sections[1].sh_link = 2;
    sections[2] = make_section(9, SHT_STRTAB, texts_at, texts.size());
    sections[3] = make_section(17, SHT_NOBITS, texts_at, texts.size());
    sections[4] = make_section(22, SHT_STRTAB, names_at, names.size());
    symbols[1] = make_symbol(1, 0x401010, 1);
    symbols[2] = make_symbol(6, 0x401020, 1);
    symbols[3] = make_symbol(12, 0x401030, SHN_UNDEF);
    symbols[4] = make_symbol(20, 0, 1);
  }

  [[nodiscard]] std::vector<std::byte> bytes() const {
    std::vector<std::byte> all(end_at);
    put(all, 0, &header, sizeof header);
    put(all, segment_at, &segment, sizeof segment);
    put(all, segment_at + sizeof segment, &second_segment, sizeof second_segment);
    for (std::size_t i = 0; i < 64; ++i) all[load_offset + i] = static_cast<std::byte>(i + 1);
    put(all, symbols_at, symbols.data(), sizeof symbols);
    put(all, texts_at, texts.data(), texts.size());
    put(all, names_at, names.data(), names.size());
    put(all, sections_at, sections.data(), sizeof sections);
    return all;
  }
  [[nodiscard]] std::optional<ElfFile> open() const { return open_bytes(bytes()); }
  [[nodiscard]] ElfSymbols all_symbols() const {
    constexpr std::array<std::string_view, 4> wanted{"here", "there", "missing", "nowhere"};
    const auto elf = open();
    REQUIRE(elf);
    return elf->symbols(wanted);
  }

  static constexpr std::size_t segment_at = 64;
  static constexpr std::size_t symbols_at = 0x180;
  static constexpr std::size_t texts_at = 0x200;
  static constexpr std::size_t names_at = 0x240;
  static constexpr std::size_t sections_at = 0x280;
  static constexpr std::size_t end_at = sections_at + 5 * sizeof(Elf64_Shdr);

  Elf64_Ehdr header{};
  Elf64_Phdr segment{};
  Elf64_Phdr second_segment{};  // of none, as long as e_phnum is 1
  std::array<Elf64_Shdr, 5> sections{};
  std::array<Elf64_Sym, 5> symbols{};
  std::string texts{"\0here\0there\0missing\0nowhere\0", 28};
  std::string names{"\0.dynsym\0.dynstr\0.bss\0.shstrtab\0", 32};

 private:
  static void put(std::vector<std::byte>& all, std::size_t at, const void* from, std::size_t size) {
    std::memcpy(all.data() + at, from, size);
  }
  static Elf64_Shdr make_section(std::uint32_t name, std::uint32_t type, std::size_t at, std::size_t size) {
    Elf64_Shdr section{};
    section.sh_name = name;
    section.sh_type = type;
    section.sh_offset = at;
    section.sh_size = size;
    section.sh_addr = 0x400000 + at;
    return section;
  }
  static Elf64_Sym make_symbol(std::uint32_t name, std::uint64_t value, std::uint16_t section) {
    Elf64_Sym symbol{};
    symbol.st_name = name;
    symbol.st_value = value;
    symbol.st_shndx = section;
    return symbol;
  }
};

/// The little file with a hash table of one bucket, in place of the section .bss: `there` is not in it.
class HashedElf : public LittleElf {
 public:
  HashedElf() {
    names = std::string{"\0.dynsym\0.dynstr\0.gnu.hash\0.shstrtab\0", 37};
    sections[3] = sections[1];
    sections[3].sh_name = 17;
    sections[3].sh_type = SHT_GNU_HASH;
    sections[3].sh_link = 1;
    sections[3].sh_offset = end_at;
    sections[3].sh_size = sizeof words;
    sections[4].sh_name = 27;
    sections[4].sh_size = names.size();
  }

  [[nodiscard]] ElfSymbols all_symbols() const {
    constexpr std::array<std::string_view, 4> wanted{"here", "there", "missing", "nowhere"};
    auto all = bytes();
    const auto hashes = std::as_bytes(std::span{words});
    all.insert(all.end(), hashes.begin(), hashes.end());
    const auto elf = open_bytes(all);
    REQUIRE(elf);
    return elf->symbols(wanted);
  }

  static constexpr std::uint32_t hash_of_here = 0x7C97D3A9;
  static constexpr std::uint32_t hash_of_missing = 0xC79B045F;
  static constexpr std::uint32_t first_symbol = 1;
  /// One bucket, the first symbol, one word of filter, its shift; the filter; the bucket; the hashes.
  std::array<std::uint32_t, 10> words{1, first_symbol,        1, 0, 0, 0, first_symbol, hash_of_here & ~1U,
                                      2, hash_of_missing | 1U};
};

/// The little file with relocations, in place of the section .bss.
class RelocatedElf : public LittleElf {
 public:
  RelocatedElf() {
    names = std::string{"\0.dynsym\0.dynstr\0.rela.dyn\0.shstrtab\0", 37};
    sections[3] = sections[1];
    sections[3].sh_name = 17;
    sections[3].sh_type = SHT_RELA;
    sections[3].sh_link = 1;
    sections[3].sh_offset = end_at;
    sections[4].sh_name = 27;
    sections[4].sh_size = names.size();
  }

  void add(std::uint64_t symbol, std::uint32_t type, std::uint64_t place, std::int64_t addend = 0) {
    relocations_.push_back({place, ELF64_R_INFO(symbol, type), addend});
    sections[3].sh_size = relocations_.size() * sizeof(Elf64_Rela);
  }
  [[nodiscard]] ElfReferences references() const {
    constexpr std::array<std::string_view, 3> wanted{"here", "there", "missing"};
    auto all = bytes();
    const auto table = std::as_bytes(std::span{relocations_});
    all.insert(all.end(), table.begin(), table.end());
    const auto elf = open_bytes(all);
    REQUIRE(elf);
    return elf->references(wanted);
  }

 private:
  std::vector<Elf64_Rela> relocations_;
};

/// The little file with a segment at the start of the file, and one 0x2000 behind it, 0x3000 in memory.
class TwoSegments : public LittleElf {
 public:
  TwoSegments() {
    header.e_phnum = 2;
    segment.p_offset = 0;
    segment.p_vaddr = 0;
    second_segment = segment;
    second_segment.p_offset = 0x2010;
    second_segment.p_vaddr = 0x3010;
  }
};

constexpr std::uint64_t beyond = 1'000'000;
constexpr std::uint64_t huge = std::numeric_limits<std::uint64_t>::max() - 7;

}  // namespace

TEST_CASE("a function of ours is where its symbol says", "[elf]") {
  const auto elf = own_file();
  const auto symbols = elf.symbols(marker);
  REQUIRE(symbols.size() == 1);
  const auto address = reinterpret_cast<std::uint64_t>(&sampler_elf_test_marker);  // NOLINT
  CHECK(symbols.at("sampler_elf_test_marker").address + own_bias(elf) == address);
  CHECK(symbols.at("sampler_elf_test_marker").size > 0);
}

TEST_CASE("the file's bytes of a function of ours are those that are loaded", "[elf]") {
  const auto elf = own_file();
  const auto symbols = elf.symbols(marker);
  REQUIRE(symbols.size() == 1);
  const auto bytes = elf.bytes_at(symbols.begin()->second.address, 8);
  REQUIRE(bytes);
  CHECK(std::memcmp(bytes->data(), reinterpret_cast<const void*>(&sampler_elf_test_marker), 8) == 0);
  CHECK(sampler_elf_test_marker(2) == 7);
}

TEST_CASE("our own sections are found by name", "[elf]") {
  const auto elf = own_file();
  const auto* text = elf.section(".text");
  REQUIRE(text != nullptr);
  CHECK(text->size > 0);
  CHECK(elf.section(".no such section") == nullptr);
  CHECK(elf.contents(*text, 16).size() == 16);
}

TEST_CASE("symbols of a little file are those that are defined and wanted", "[elf]") {
  LittleElf little;
  little.symbols[1].st_size = 24;
  CHECK(little.all_symbols() == ElfSymbols{{"here", {0x401010, 24}}, {"there", {0x401020}}});
  constexpr std::array<std::string_view, 1> one{"there"};
  CHECK(little.open()->symbols(one) == ElfSymbols{{"there", {0x401020}}});
  CHECK(little.open()->symbols({}).empty());
}

TEST_CASE("a hash table tells all that is in it", "[elf]") {
  HashedElf hashed;
  hashed.symbols[1].st_size = 24;
  CHECK(hashed.all_symbols() == ElfSymbols{{"here", {0x401010, 24}}});
}

TEST_CASE("a name that only has the hash of another is not it", "[elf]") {
  HashedElf hashed;
  hashed.texts[1] = 'H';
  CHECK(hashed.all_symbols().empty());
  hashed.texts = std::string{"\0here_and\0", 10};
  CHECK(hashed.all_symbols().empty());
}

TEST_CASE("a hash table of nonsense has no symbols", "[elf]") {
  const auto found_with = [](std::size_t word, std::uint32_t value) {
    HashedElf hashed;
    hashed.words.at(word) = value;
    return !hashed.all_symbols().empty();
  };
  CHECK(found_with(9, 0));  // the last of the bucket is never told
  CHECK_FALSE(found_with(0, 0));
  CHECK_FALSE(found_with(0, 0xFFFF'FFFF));
  CHECK_FALSE(found_with(1, 2));
  CHECK_FALSE(found_with(2, 0xFFFF'FFFF));
  CHECK_FALSE(found_with(6, 0));
  CHECK_FALSE(found_with(6, 0xFFFF'FFFF));
  CHECK_FALSE(found_with(7, HashedElf::hash_of_missing));
}

TEST_CASE("a hash table that is cut or linked with nothing has no symbols", "[elf]") {
  for (std::uint64_t size = 0; size < 32; ++size) {
    HashedElf hashed;
    hashed.sections[3].sh_size = size;
    CHECK(hashed.all_symbols().empty());
  }
  HashedElf unlinked, without_texts, far;
  unlinked.sections[3].sh_link = 5;
  without_texts.sections[1].sh_link = 5;
  far.sections[3].sh_offset = huge;
  CHECK(unlinked.all_symbols().empty());
  CHECK(without_texts.all_symbols().empty());
  CHECK(far.all_symbols().empty());
}

TEST_CASE("symbols are found wherever in long tables they and their names are", "[elf]") {
  constexpr std::size_t count = 20'000;
  constexpr std::array<std::size_t, 5> places{1, 2730, 2731, 10'000, count - 1};
  std::vector<std::string> wanted;
  std::string texts(1, '\0');
  std::vector<Elf64_Sym> symbols(count);
  for (std::size_t i = 1; i < count; ++i) {
    const auto name = "name_of_symbol_" + std::to_string(i);
    if (std::find(places.begin(), places.end(), i) != places.end()) wanted.push_back(name);
    symbols[i].st_name = static_cast<std::uint32_t>(texts.size());
    symbols[i].st_value = i;
    symbols[i].st_shndx = 1;
    texts += name + '\0';
  }
  LittleElf little;
  little.sections[1].sh_offset = LittleElf::end_at;
  little.sections[1].sh_size = count * sizeof(Elf64_Sym);
  little.sections[2].sh_offset = LittleElf::end_at + count * sizeof(Elf64_Sym);
  little.sections[2].sh_size = texts.size();
  auto all = little.bytes();
  const auto table = std::as_bytes(std::span{symbols});
  all.insert(all.end(), table.begin(), table.end());
  const auto text = std::as_bytes(std::span{texts});
  all.insert(all.end(), text.begin(), text.end());
  const auto elf = open_bytes(all);
  REQUIRE(elf);
  const std::vector<std::string_view> names(wanted.begin(), wanted.end());
  const auto found = elf->symbols(names);
  REQUIRE(found.size() == places.size());
  for (const auto place : places) {
    CHECK(found.at("name_of_symbol_" + std::to_string(place)).address == place);
  }
}

TEST_CASE("a name may be the end of a longer one", "[elf]") {
  LittleElf little;
  little.symbols[1].st_name = 7;  // in "there"
  CHECK(little.all_symbols() == ElfSymbols{{"here", {0x401010}}, {"there", {0x401020}}});
}

TEST_CASE("a section tells its place", "[elf]") {
  const auto elf = LittleElf{}.open();
  REQUIRE(elf);
  const auto* section = elf->section(".dynstr");
  REQUIRE(section != nullptr);
  CHECK(section->offset == LittleElf::texts_at);
  CHECK(section->size == 28);
  CHECK(section->address == 0x400200);
  CHECK(elf->contents(*section, 1000).size() == 28);
  CHECK(elf->contents(*section, 6) == std::vector{std::byte{0}, std::byte{'h'}, std::byte{'e'},
                                                  std::byte{'r'}, std::byte{'e'}, std::byte{0}});
}

TEST_CASE("a section that is not in the file has no contents", "[elf]") {
  const auto elf = LittleElf{}.open();
  REQUIRE(elf);
  const auto* section = elf->section(".bss");
  REQUIRE(section != nullptr);
  CHECK(elf->contents(*section, 1000).empty());
}

TEST_CASE("bytes are found by the address they are loaded at", "[elf]") {
  const auto elf = LittleElf{}.open();
  REQUIRE(elf);
  const auto bytes = elf->bytes_at(LittleElf::load_address + 3, 2);
  REQUIRE(bytes);
  CHECK(*bytes == std::vector{std::byte{4}, std::byte{5}});
  CHECK(elf->bytes_at(LittleElf::load_address, 64));
}

TEST_CASE("bytes that the file does not load are not there", "[elf]") {
  const auto elf = LittleElf{}.open();
  REQUIRE(elf);
  CHECK_FALSE(elf->bytes_at(LittleElf::load_address - 1, 1));
  CHECK_FALSE(elf->bytes_at(LittleElf::load_address + 64, 1));
  CHECK_FALSE(elf->bytes_at(LittleElf::load_address + 60, 5));
  CHECK_FALSE(elf->bytes_at(LittleElf::load_address, std::numeric_limits<std::size_t>::max()));
  CHECK_FALSE(elf->bytes_at(0, 1));
  CHECK_FALSE(elf->bytes_at(huge, 16));
}

TEST_CASE("bytes of a segment that lies beyond the file are not there", "[elf]") {
  LittleElf little;
  little.segment.p_offset = LittleElf::end_at - 8;
  const auto elf = little.open();
  REQUIRE(elf);
  CHECK(elf->bytes_at(LittleElf::load_address, 8));
  CHECK_FALSE(elf->bytes_at(LittleElf::load_address, 9));
}

TEST_CASE("a segment that goes around the end of all offsets has no bytes", "[elf]") {
  LittleElf little;
  little.segment.p_offset = huge;
  const auto elf = little.open();
  REQUIRE(elf);
  CHECK_FALSE(elf->bytes_at(LittleElf::load_address + 16, 4));
}

TEST_CASE("the bias is the mapping's start less the segment's page", "[elf]") {
  LittleElf little;
  little.segment.p_offset = 0x2345;
  little.segment.p_vaddr = 0x403345;
  const auto elf = little.open();
  REQUIRE(elf);
  const auto biases_of = [&](const MappedPart& part) { return elf->load_biases(std::span{&part, 1}); };
  CHECK(biases_of({0x7f00'0000'0000, 0x2000}) == std::vector<std::uint64_t>{0x7f00'0000'0000 - 0x403000});
  CHECK(biases_of({0x403000, 0x2000}) == std::vector<std::uint64_t>{0});
  CHECK(biases_of({0x7f00'0000'0000, 0x1000}).empty());
  CHECK(biases_of({0x7f00'0000'0000, 0x3000}).empty());
  CHECK(elf->load_biases({}).empty());
}

TEST_CASE("a file that is mapped as data, or a part of it, is loaded only where its segments are", "[elf]") {
  const auto elf = TwoSegments{}.open();
  REQUIRE(elf);
  const auto loaded_at = [](std::uint64_t bias) {
    return std::vector<MappedPart>{{bias, 0}, {bias + 0x3000, 0x2000}};
  };
  auto parts = loaded_at(0x7f00'0000'0000);
  const std::vector<std::uint64_t> once{0x7f00'0000'0000};
  CHECK(elf->load_biases(parts) == once);
  parts.insert(parts.begin(), {{0x1000'0000, 0}, {0x2000'0000, 0x2000}, {0x3000'0000, 0x1000}});
  CHECK(elf->load_biases(parts) == once);
  CHECK(elf->load_biases(std::span{parts}.first(3)).empty());
  const auto again = loaded_at(0x7e00'0000'0000);
  parts.insert(parts.end(), again.begin(), again.end());
  CHECK(elf->load_biases(parts) == std::vector<std::uint64_t>{0x7e00'0000'0000, 0x7f00'0000'0000});
}

TEST_CASE("of many places where a file may be loaded some are told, however many parts are mapped", "[elf]") {
  const auto elf = TwoSegments{}.open();
  REQUIRE(elf);
  std::vector<MappedPart> parts;
  for (std::uint64_t i = 0; i < 60'000; ++i)
    parts.push_back({0x7f00'0000'0000 + i * 0x1000, (i % 4) * 0x1000});
  CHECK(elf->load_biases(parts).size() <= 16);
}

TEST_CASE("what the loader fills with a symbol's address is told", "[elf]") {
  RelocatedElf relocated;
  relocated.add(1, R_X86_64_GLOB_DAT, 0x402000);
  relocated.add(3, R_X86_64_GLOB_DAT, 0x402008);  // of a symbol that is not defined here
  const auto references = relocated.references();
  REQUIRE(references.size() == 1);
  CHECK(references.at("here").slot == 0x402000U);
  CHECK_FALSE(references.at("here").is_copied);
}

TEST_CASE("a word of data that has a symbol's address tells it as well, and not where it has another's",
          "[elf]") {
  RelocatedElf relocated;
  relocated.add(1, R_X86_64_64, 0x402000, 8);
  relocated.add(2, R_X86_64_RELATIVE, 0x402008, 0x401020);
  CHECK(relocated.references().empty());
  relocated.add(1, R_X86_64_64, 0x402010);
  CHECK(relocated.references().at("here").slot == 0x402010U);
}

TEST_CASE("a program's copy of a library's symbol is told", "[elf]") {
  RelocatedElf relocated;
  relocated.add(2, R_X86_64_COPY, 0x401020);
  const auto references = relocated.references();
  REQUIRE(references.size() == 1);
  CHECK(references.at("there").is_copied);
  CHECK_FALSE(references.at("there").slot);
}

TEST_CASE("relocations of nonsense refer to nothing", "[elf]") {
  RelocatedElf beyond_symbols, far, of_other_kind;
  beyond_symbols.add(0xFFFF'FFFF, R_X86_64_GLOB_DAT, 0x402000);
  CHECK(beyond_symbols.references().empty());
  far.add(1, R_X86_64_GLOB_DAT, 0x402000);
  far.sections[3].sh_offset = huge;
  CHECK(far.references().empty());
  of_other_kind.add(1, R_X86_64_GLOB_DAT, 0x402000);
  of_other_kind.sections[3].sh_type = SHT_PROGBITS;
  CHECK(of_other_kind.references().empty());
}

TEST_CASE("a file extends over its segments in memory, and not in the file", "[elf]") {
  const auto elf = LittleElf{}.open();
  REQUIRE(elf);
  CHECK(elf->extent() == std::pair<std::uint64_t, std::uint64_t>{0x401000, 0x402000});
}

TEST_CASE("a file extends from its lowest segment to the end of its highest, in whatever order", "[elf]") {
  const auto extent_with = [](std::uint64_t address, std::uint64_t size, std::uint32_t type) {
    LittleElf little;
    little.header.e_phnum = 2;
    little.second_segment = little.segment;
    little.second_segment.p_type = type;
    little.second_segment.p_vaddr = address;
    little.second_segment.p_memsz = size;
    const auto elf = little.open();
    REQUIRE(elf);
    return elf->extent();
  };
  using Extent = std::pair<std::uint64_t, std::uint64_t>;
  CHECK(extent_with(0x500000, 0x123, PT_LOAD) == Extent{0x401000, 0x500123});
  CHECK(extent_with(0x300000, 0x123, PT_LOAD) == Extent{0x300000, 0x402000});
  CHECK(extent_with(0x401100, 0x10, PT_LOAD) == Extent{0x401000, 0x402000});
  CHECK(extent_with(0x500000, 0x123, PT_NOTE) == Extent{0x401000, 0x402000});
}

TEST_CASE("our own variables and functions are in our file's extent", "[elf]") {
  static int variable = 0;
  const auto elf = own_file();
  const auto bias = own_bias(elf);
  const auto [begin, end] = elf.extent();
  const auto is_inside = [&, first = begin + bias, last = end + bias](const void* object) {
    const auto address = reinterpret_cast<std::uint64_t>(object);  // NOLINT: an address as a number
    return address >= first && address < last;
  };
  CHECK(is_inside(reinterpret_cast<const void*>(&sampler_elf_test_marker)));  // NOLINT
  CHECK(is_inside(&variable));
  CHECK_FALSE(is_inside(&begin));
}

TEST_CASE("what is no ELF file is not opened", "[elf]") {
  const std::string text(1000, '#');
  CHECK_FALSE(open_bytes(std::as_bytes(std::span{text})));
  CHECK_FALSE(open_bytes({}));
  CHECK_FALSE(ElfFile::open(UniqueFd{}));
}

TEST_CASE("a directory and a device are not opened", "[elf]") {
  auto directory = open_file("/", O_RDONLY);
  auto device = open_file("/dev/zero", O_RDONLY);
  REQUIRE(directory);
  REQUIRE(device);
  CHECK_FALSE(ElfFile::open(std::move(*directory)));
  CHECK_FALSE(ElfFile::open(std::move(*device)));
}

TEST_CASE("an ELF file for another machine is not opened", "[elf]") {
  LittleElf narrow, big_endian, arm, odd_segments, odd_sections;
  narrow.header.e_ident[EI_CLASS] = ELFCLASS32;
  big_endian.header.e_ident[EI_DATA] = ELFDATA2MSB;
  arm.header.e_machine = EM_AARCH64;
  odd_segments.header.e_phentsize = 32;
  odd_sections.header.e_shentsize = 8;
  CHECK_FALSE(narrow.open());
  CHECK_FALSE(big_endian.open());
  CHECK_FALSE(arm.open());
  CHECK_FALSE(odd_segments.open());
  CHECK_FALSE(odd_sections.open());
}

TEST_CASE("a file cut in its headers is not opened", "[elf]") {
  const auto bytes = LittleElf{}.bytes();
  CHECK_FALSE(open_bytes(std::span{bytes}.first(4)));
  CHECK_FALSE(open_bytes(std::span{bytes}.first(63)));
  CHECK_FALSE(open_bytes(std::span{bytes}.first(64 + 55)));
}

TEST_CASE("a file cut anywhere behind its headers is read as far as it goes", "[elf]") {
  const auto bytes = LittleElf{}.bytes();
  constexpr std::array<std::string_view, 1> wanted{"here"};
  for (std::size_t size = 64 + 56; size < bytes.size(); ++size) {
    const auto elf = open_bytes(std::span{bytes}.first(size));
    REQUIRE(elf);
    REQUIRE(elf->section(".dynsym") == nullptr);
    REQUIRE(elf->symbols(wanted).empty());
    REQUIRE(elf->bytes_at(LittleElf::load_address, 64).has_value() == (size >= LittleElf::load_offset + 64));
  }
}

TEST_CASE("a file that shrinks after it was opened is an error and no crash", "[elf]") {
  const auto bytes = LittleElf{}.bytes();
  auto file = file_of(bytes);
  const UniqueFd same{::dup(file.get())};
  const auto elf = ElfFile::open(std::move(file));
  REQUIRE(elf);
  REQUIRE(::ftruncate(same.get(), 0x110) == 0);
  CHECK_FALSE(elf->bytes_at(LittleElf::load_address, 64));
  CHECK(elf->contents(*elf->section(".dynstr"), 1000).empty());
}

TEST_CASE("section headers beyond the end are no sections, and the rest can be used", "[elf]") {
  LittleElf far, farther;
  far.header.e_shoff = beyond;
  farther.header.e_shoff = huge;
  REQUIRE(far.open());
  REQUIRE(farther.open());
  CHECK(far.open()->section(".dynsym") == nullptr);
  CHECK(farther.all_symbols().empty());
  CHECK(far.open()->bytes_at(LittleElf::load_address, 1));
}

TEST_CASE("more section headers than there are in the file are no sections", "[elf]") {
  LittleElf little;
  little.header.e_shnum = 6;
  CHECK(little.all_symbols().empty());
}

TEST_CASE("program headers beyond the end make no file", "[elf]") {
  LittleElf far, farther, many;
  far.header.e_phoff = beyond;
  farther.header.e_phoff = huge;
  many.header.e_phnum = 60'000;
  CHECK_FALSE(far.open());
  CHECK_FALSE(farther.open());
  CHECK_FALSE(many.open());
}

TEST_CASE("a file that loads nothing is not opened", "[elf]") {
  LittleElf little;
  little.segment.p_type = PT_NOTE;
  CHECK_FALSE(little.open());
}

TEST_CASE("a file without section headers can be used for its bytes", "[elf]") {
  LittleElf little;
  little.header.e_shnum = 0;
  little.header.e_shentsize = 0;
  little.header.e_shstrndx = 0;
  const auto elf = little.open();
  REQUIRE(elf);
  CHECK(elf->bytes_at(LittleElf::load_address, 4));
}

TEST_CASE("a section's name outside the table of names is empty", "[elf]") {
  LittleElf little;
  little.sections[2].sh_name = 1000;
  const auto elf = little.open();
  REQUIRE(elf);
  CHECK(elf->section(".dynstr") == nullptr);
  CHECK(elf->section(".dynsym") != nullptr);
}

TEST_CASE("a symbol's name outside its table is no name, and the other symbols are found", "[elf]") {
  LittleElf little;
  little.symbols[1].st_name = 1000;
  CHECK(little.all_symbols() == ElfSymbols{{"there", {0x401020}}});
  little.symbols[1].st_name = 0xFFFF'FFFF;
  CHECK(little.all_symbols() == ElfSymbols{{"there", {0x401020}}});
}

TEST_CASE("a symbol's name that does not end in its table is no name", "[elf]") {
  LittleElf little;
  little.sections[2].sh_size = 11;
  CHECK(little.all_symbols() == ElfSymbols{{"here", {0x401010}}});
}

TEST_CASE("a symbol table that is linked with no section has no symbols", "[elf]") {
  LittleElf little;
  little.sections[1].sh_link = 5;
  CHECK(little.all_symbols().empty());
}

TEST_CASE("tables that lie beyond the file have no symbols", "[elf]") {
  LittleElf symbols_far, symbols_large, texts_far, texts_large;
  symbols_far.sections[1].sh_offset = huge;
  symbols_large.sections[1].sh_size = huge;
  texts_far.sections[2].sh_offset = beyond;
  texts_large.sections[2].sh_size = 1ULL << 62U;
  CHECK(symbols_far.all_symbols().empty());
  CHECK(symbols_large.all_symbols().empty());
  CHECK(texts_far.all_symbols().empty());
  CHECK(texts_large.all_symbols().empty());
}

TEST_CASE("of two definitions of a symbol the first counts", "[elf]") {
  LittleElf little;
  little.symbols[2].st_name = 1;
  CHECK(little.all_symbols() == ElfSymbols{{"here", {0x401010}}});
}

TEST_CASE("a symbol that is not exported is found in the other table", "[elf]") {
  LittleElf little;
  little.names = std::string{"\0.symtab\0.dynstr\0.bss\0.shstrtab\0", 32};
  CHECK(little.all_symbols().size() == 2);
}

}  // namespace sampler
