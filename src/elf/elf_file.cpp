#include "sampler/elf/elf_file.h"

#include <elf.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace sampler {
namespace {

// No name that we look for is longer; one that is, is none of them.
constexpr std::uint64_t longest_name = 256;
constexpr std::uint64_t page_mask = 4095;
// Far above any real interpreter (libpython with full debug information: 15,000 symbols in .dynsym and
// .symtab).
constexpr std::uint64_t most_table_bytes = 256ULL << 20U;

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
    if (segment.p_type == PT_LOAD) loads_.push_back({segment.p_offset, segment.p_vaddr, segment.p_filesz});
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

void ElfFile::find_in(const ElfSection& table, std::span<const std::string_view> names,
                      SymbolAddresses& found) const {
  if (table.link >= sections_.size()) return;
  const auto symbols = contents(table, most_table_bytes);
  const auto texts = contents(sections_[table.link], most_table_bytes);
  for (std::size_t i = 0; i < symbols.size() / sizeof(Elf64_Sym); ++i) {
    const auto symbol = element<Elf64_Sym>(symbols, i);
    if (symbol.st_shndx == SHN_UNDEF || symbol.st_value == 0) continue;
    const auto name = text_at(texts, symbol.st_name);
    if (std::find(names.begin(), names.end(), name) != names.end()) {
      found.try_emplace(std::string{name}, symbol.st_value);
    }
  }
}

SymbolAddresses ElfFile::symbols(std::span<const std::string_view> names) const {
  SymbolAddresses found;
  for (const std::string_view table : {".dynsym", ".symtab"}) {
    if (found.size() == names.size()) break;
    if (const auto* symbols = section(table)) find_in(*symbols, names, found);
  }
  return found;
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

std::optional<std::uint64_t> ElfFile::load_bias(std::uint64_t start, std::uint64_t file_offset) const {
  for (const auto& load : loads_) {
    // The kernel maps whole pages: the segment's first page holds its first byte.
    if ((load.offset & ~page_mask) == file_offset) return start - (load.address & ~page_mask);
  }
  return std::nullopt;
}

}  // namespace sampler
