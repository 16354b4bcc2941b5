#include "sampler/elf/elf_file.h"

#include <elf.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <iterator>

namespace sampler {
namespace {

// No name that we look for is longer; one that is, is none of them.
constexpr std::uint64_t longest_name = 256;
constexpr std::uint64_t page_mask = 4095;
// Far above any real interpreter (libpython with full debug information: 15,000 symbols in .dynsym and
// .symtab).
constexpr std::uint64_t most_table_bytes = 256ULL << 20U;
/// How much of a table is read at once.
constexpr std::uint64_t part_size = 64ULL << 10U;
/// Each name stands once in a table of texts, or a few times more as the end of longer ones.
constexpr std::size_t most_places = 1024;
/// Real buckets have a few symbols.
constexpr std::uint64_t most_in_bucket = 1024;

/// Element `index` of a table of plain structs in `bytes`; the caller has checked that it lies inside.
template <class T>
T element(std::span<const std::byte> bytes, std::size_t index) {
  T value{};
  std::memcpy(&value, bytes.data() + index * sizeof(T), sizeof(T));
  return value;
}

/// The NUL-terminated text at `offset`; empty where it is outside, longer than any name, or not terminated.
std::string_view text_at(std::span<const std::byte> bytes, std::uint64_t offset) {
  if (offset >= bytes.size()) return {};
  const auto rest = bytes.subspan(offset, std::min<std::uint64_t>(longest_name, bytes.size() - offset));
  const auto* end = std::memchr(rest.data(), 0, rest.size());
  if (end == nullptr) return {};
  const auto* begin = reinterpret_cast<const char*>(rest.data());  // NOLINT: bytes as text
  return {begin, static_cast<std::size_t>(static_cast<const char*>(end) - begin)};
}

bool is_supported(const Elf64_Ehdr& header) {
  return std::memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 && header.e_ident[EI_CLASS] == ELFCLASS64 &&
         header.e_ident[EI_DATA] == ELFDATA2LSB && header.e_machine == EM_X86_64 &&
         header.e_phentsize == sizeof(Elf64_Phdr) &&
         (header.e_shnum == 0 || header.e_shentsize == sizeof(Elf64_Shdr));
}

/// Where the text and the NUL that ends it are in `bytes`.
std::vector<std::size_t> offsets_of(const std::string& text, std::span<const std::byte> bytes) {
  std::vector<std::size_t> offsets;
  for (std::size_t from = 0; from < bytes.size();) {
    const auto rest = bytes.subspan(from);
    const void* const found = ::memmem(rest.data(), rest.size(), text.c_str(), text.size() + 1);
    if (found == nullptr) break;
    from += static_cast<std::size_t>(static_cast<const std::byte*>(found) - rest.data());
    offsets.push_back(from++);
  }
  return offsets;
}

bool is_defined(const Elf64_Sym& symbol) {
  return symbol.st_shndx != SHN_UNDEF && symbol.st_value != 0;
}

std::uint32_t gnu_hash(std::string_view name) {
  std::uint32_t hash = 5381;
  for (const char c : name) hash = hash * 33 + static_cast<unsigned char>(c);
  return hash;
}

}  // namespace

std::optional<ElfFile> ElfFile::open(UniqueFd file) {
  struct stat facts {};
  if (::fstat(file.get(), &facts) != 0 || !S_ISREG(facts.st_mode)) return std::nullopt;
  ElfFile elf{std::move(file), static_cast<std::uint64_t>(facts.st_size)};
  if (!elf.read_headers()) return std::nullopt;
  return elf;
}

std::vector<std::byte> ElfFile::read(std::uint64_t offset, std::uint64_t count) const {
  if (offset > size_ || count > size_ - offset || count > most_table_bytes) return {};
  std::vector<std::byte> bytes(count);
  std::size_t done = 0;
  while (done < count) {
    const auto got =
        ::pread(file_.get(), bytes.data() + done, count - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return {};
    done += static_cast<std::size_t>(got);
  }
  return bytes;
}

bool ElfFile::read_headers() {
  const auto header_bytes = read(0, sizeof(Elf64_Ehdr));
  if (header_bytes.empty()) return false;
  const auto header = element<Elf64_Ehdr>(header_bytes, 0);
  if (!is_supported(header)) return false;

  const auto segments = read(header.e_phoff, std::uint64_t{header.e_phnum} * sizeof(Elf64_Phdr));
  for (std::size_t i = 0; i < segments.size() / sizeof(Elf64_Phdr); ++i) {
    const auto segment = element<Elf64_Phdr>(segments, i);
    if (segment.p_type == PT_LOAD) {
      loads_.push_back({segment.p_offset, segment.p_vaddr, segment.p_filesz, segment.p_memsz});
    }
  }
  const auto headers = read(header.e_shoff, std::uint64_t{header.e_shnum} * sizeof(Elf64_Shdr));
  const auto count = headers.size() / sizeof(Elf64_Shdr);
  if (header.e_shstrndx >= count) return !loads_.empty();
  const auto names_section = element<Elf64_Shdr>(headers, header.e_shstrndx);
  const auto names = read(names_section.sh_offset, names_section.sh_size);
  for (std::size_t i = 0; i < count; ++i) {
    const auto section = element<Elf64_Shdr>(headers, i);
    sections_.push_back({std::string{text_at(names, section.sh_name)}, section.sh_type, section.sh_link,
                         section.sh_addr, section.sh_offset, section.sh_size});
  }
  return !loads_.empty();
}

const ElfSection* ElfFile::section(std::string_view name) const {
  const auto found = std::find_if(sections_.begin(), sections_.end(),
                                  [&](const ElfSection& section) { return section.name == name; });
  return found == sections_.end() ? nullptr : &*found;
}

std::vector<std::byte> ElfFile::contents(const ElfSection& section, std::uint64_t limit) const {
  if (section.type == SHT_NOBITS) return {};
  return read(section.offset, std::min(section.size, limit));
}

std::vector<std::byte> ElfFile::part(const ElfSection& section, std::uint64_t offset,
                                     std::uint64_t count) const {
  const bool is_in_file = section.offset <= size_ && section.size <= size_ - section.offset;
  if (section.type == SHT_NOBITS || !is_in_file || offset >= section.size) return {};
  return read(section.offset + offset, std::min(count, section.size - offset));
}

bool ElfFile::is_named(const ElfSection& texts, std::uint64_t offset, std::string_view name) const {
  return text_at(part(texts, offset, name.size() + 1), 0) == name;
}

std::optional<ElfFile::Found> ElfFile::look_up(const ElfSection& hashes, std::string_view name) const {
  if (hashes.link >= sections_.size() || sections_[hashes.link].link >= sections_.size()) return std::nullopt;
  const auto& symbols = sections_[hashes.link];
  const auto& texts = sections_[symbols.link];
  const auto word_at = [&](std::uint64_t offset) -> std::optional<std::uint32_t> {
    const auto bytes = part(hashes, offset, sizeof(std::uint32_t));
    return bytes.size() == sizeof(std::uint32_t) ? std::optional{element<std::uint32_t>(bytes, 0)}
                                                 : std::nullopt;
  };
  // {buckets, first symbol, filter's words, shift}, the filter, the buckets, a hash for each symbol: those of
  // a bucket follow each other, and the last one's lowest bit is set.
  const auto head = part(hashes, 0, sizeof(std::array<std::uint32_t, 4>));
  if (head.size() != sizeof(std::array<std::uint32_t, 4>)) return std::nullopt;
  const auto buckets = element<std::uint32_t>(head, 0);
  const auto first = element<std::uint32_t>(head, 1);
  if (buckets == 0) return std::nullopt;
  const auto hash = gnu_hash(name);
  const auto buckets_at =
      head.size() + std::uint64_t{element<std::uint32_t>(head, 2)} * sizeof(std::uint64_t);
  const auto hashes_at = buckets_at + std::uint64_t{buckets} * sizeof(std::uint32_t);
  const auto bucket = word_at(buckets_at + std::uint64_t{hash % buckets} * sizeof(std::uint32_t));
  if (!bucket || *bucket < first) return std::nullopt;
  for (std::uint64_t index = *bucket; index < *bucket + most_in_bucket; ++index) {
    const auto its_hash = word_at(hashes_at + (index - first) * sizeof(std::uint32_t));
    if (!its_hash) return std::nullopt;
    if ((*its_hash | 1U) == (hash | 1U)) {
      const auto bytes = part(symbols, index * sizeof(Elf64_Sym), sizeof(Elf64_Sym));
      if (bytes.size() != sizeof(Elf64_Sym)) return std::nullopt;
      const auto symbol = element<Elf64_Sym>(bytes, 0);
      if (is_defined(symbol) && is_named(texts, symbol.st_name, name)) {
        return Found{{symbol.st_value, symbol.st_size}, index};
      }
    }
    if ((*its_hash & 1U) != 0) return std::nullopt;
  }
  return std::nullopt;
}

std::map<std::uint64_t, std::string_view> ElfFile::places_of(std::span<const std::string_view> names,
                                                             const ElfSection& texts) const {
  std::map<std::uint64_t, std::string_view> places;
  // The parts overlap, so that no name is cut.
  for (std::uint64_t at = 0; at < std::min(texts.size, most_table_bytes); at += part_size - longest_name) {
    const auto bytes = part(texts, at, part_size);
    if (bytes.empty()) break;
    for (const auto name : names) {
      for (const auto offset : offsets_of(std::string{name}, bytes)) {
        if (places.size() < most_places) places.emplace(at + offset, name);
      }
    }
  }
  return places;
}

void ElfFile::scan(const ElfSection& table, std::span<const std::string_view> names,
                   FoundSymbols& found) const {
  if (table.link >= sections_.size()) return;
  // Numbers are compared, not texts: a symbol's name is one of these places or none that is wanted.
  const auto places = places_of(names, sections_[table.link]);
  if (places.empty()) return;
  constexpr auto step = part_size / sizeof(Elf64_Sym) * sizeof(Elf64_Sym);
  for (std::uint64_t at = 0; at < std::min(table.size, most_table_bytes); at += step) {
    const auto symbols = part(table, at, step);
    if (symbols.empty()) break;
    for (std::size_t i = 0; i < symbols.size() / sizeof(Elf64_Sym); ++i) {
      const auto symbol = element<Elf64_Sym>(symbols, i);
      if (!is_defined(symbol)) continue;
      const auto place = places.find(symbol.st_name);
      if (place != places.end())
        found.try_emplace(std::string{place->second},
                          Found{{symbol.st_value, symbol.st_size}, at / sizeof(Elf64_Sym) + i});
    }
  }
}

ElfFile::FoundSymbols ElfFile::exported(std::span<const std::string_view> names) const {
  FoundSymbols found;
  if (const auto* hashes = section(".gnu.hash")) {
    for (const auto name : names) {
      if (const auto symbol = look_up(*hashes, name)) found.emplace(name, *symbol);
    }
  } else if (const auto* symbols = section(".dynsym")) {
    scan(*symbols, names, found);
  }
  return found;
}

ElfSymbols ElfFile::symbols(std::span<const std::string_view> names) const {
  auto found = exported(names);
  const auto* all = found.size() < names.size() ? section(".symtab") : nullptr;
  if (all != nullptr) scan(*all, names, found);
  ElfSymbols symbols;
  for (const auto& [name, its] : found) symbols.emplace(name, its.symbol);
  return symbols;
}

ElfReferences ElfFile::references(std::span<const std::string_view> names) const {
  ElfReferences references;
  const auto* const table = section(".rela.dyn");
  if (table == nullptr || table->type != SHT_RELA) return references;
  std::unordered_map<std::uint64_t, std::string> wanted;  // by the symbols' places
  for (const auto& [name, its] : exported(names)) wanted.emplace(its.index, name);
  constexpr auto step = part_size / sizeof(Elf64_Rela) * sizeof(Elf64_Rela);
  for (std::uint64_t at = 0; at < std::min(table->size, most_table_bytes) && !wanted.empty(); at += step) {
    const auto relocations = part(*table, at, step);
    if (relocations.empty()) break;
    for (std::size_t i = 0; i < relocations.size() / sizeof(Elf64_Rela); ++i) {
      const auto relocation = element<Elf64_Rela>(relocations, i);
      const auto type = ELF64_R_TYPE(relocation.r_info);
      const bool is_copy = type == R_X86_64_COPY;
      const bool is_slot = type == R_X86_64_GLOB_DAT || (type == R_X86_64_64 && relocation.r_addend == 0);
      const auto name = is_copy || is_slot ? wanted.find(ELF64_R_SYM(relocation.r_info)) : wanted.end();
      if (name == wanted.end()) continue;
      const auto slot = is_slot ? std::optional{relocation.r_offset} : std::nullopt;
      references.emplace(name->second, ElfReference{slot, is_copy});
      wanted.erase(name);
    }
  }
  return references;
}

std::optional<std::vector<std::byte>> ElfFile::bytes_at(std::uint64_t address, std::size_t count) const {
  for (const auto& load : loads_) {
    if (address < load.address || address - load.address >= load.file_size) continue;
    const auto into = address - load.address;
    if (count > load.file_size - into || load.offset > size_) return std::nullopt;
    auto bytes = read(load.offset + into, count);
    if (bytes.size() != count) return std::nullopt;
    return bytes;
  }
  return std::nullopt;
}

std::pair<std::uint64_t, std::uint64_t> ElfFile::extent() const noexcept {
  std::pair<std::uint64_t, std::uint64_t> extent{UINT64_MAX, 0};
  for (const auto& load : loads_) {
    extent.first = std::min(extent.first, load.address);
    extent.second = std::max(extent.second, load.address + load.memory_size);
  }
  return extent;
}

MappedPart ElfFile::Segment::first_page() const noexcept {
  return {address & ~page_mask, offset & ~page_mask};
}

std::size_t ElfFile::count_mapped(std::uint64_t bias, std::span<const MappedPart> sorted) const {
  const auto is_mapped = [&](const Segment& load) {
    const auto page = load.first_page();
    return std::binary_search(sorted.begin(), sorted.end(), MappedPart{page.start + bias, page.file_offset});
  };
  return static_cast<std::size_t>(std::count_if(loads_.begin(), loads_.end(), is_mapped));
}

std::vector<std::uint64_t> ElfFile::load_biases(std::span<const MappedPart> parts) const {
  constexpr std::size_t most = 16;
  constexpr std::size_t most_segments = 64;  // of real files; a file of more is loaded nowhere
  if (loads_.size() > most_segments) return {};
  std::vector<MappedPart> sorted(parts.begin(), parts.end());
  std::sort(sorted.begin(), sorted.end());
  std::map<std::uint64_t, std::size_t> mapped;  // how many segments, by the bias
  for (const auto& part : parts) {
    for (const auto& load : loads_) {
      const auto page = load.first_page();
      const auto bias = part.start - page.start;
      if (page.file_offset == part.file_offset && !mapped.contains(bias))
        mapped.emplace(bias, count_mapped(bias, sorted));
    }
  }
  const auto is_in_file = [](const Segment& load) { return load.file_size > 0; };
  const auto needed = std::min<std::size_t>(
      2, static_cast<std::size_t>(std::count_if(loads_.begin(), loads_.end(), is_in_file)));
  std::vector<std::pair<std::uint64_t, std::size_t>> found;
  std::copy_if(mapped.begin(), mapped.end(), std::back_inserter(found),
               [&](const auto& each) { return each.second >= needed; });
  std::stable_sort(found.begin(), found.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  std::vector<std::uint64_t> biases;
  for (const auto& [bias, count] : std::span{found}.first(std::min(most, found.size())))
    biases.push_back(bias);
  return biases;
}

}  // namespace sampler
