#include "sampler/cpython/interpreter_image.h"

#include <elf.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <map>

#include "catch.h"
#include "fake_python.h"

namespace sampler {
namespace {

/// A library that defines PyCode_Type, _PyRuntime and _PyThreadState_Current, in the order of its symbols.
class FakeLibrary {
 public:
  static constexpr std::uint64_t bias = 0x7e00'0000'0000;
  static constexpr std::uint64_t code_type = 0x1100, runtime = 0x1200, current_thread = 0x1300;

  /// The loader fills the word at `place` with a symbol's address.
  void add_slot(std::uint64_t symbol, std::uint64_t place) {
    relocations_.push_back({place, ELF64_R_INFO(symbol, R_X86_64_GLOB_DAT), 0});
  }
  void add_copy(std::uint64_t symbol, std::uint64_t place) {
    relocations_.push_back({place, ELF64_R_INFO(symbol, R_X86_64_COPY), 0});
  }

  [[nodiscard]] ElfFile open() const {
    const std::string texts{"\0PyCode_Type\0_PyRuntime\0_PyThreadState_Current\0", 47};
    const std::string names{"\0.dynsym\0.dynstr\0.rela.dyn\0.shstrtab\0", 37};
    std::array<Elf64_Sym, 4> symbols{};
    const std::array<std::pair<std::uint32_t, std::uint64_t>, 3> places{
        {{1, code_type}, {13, runtime}, {24, current_thread}}};
    for (std::size_t i = 0; i < places.size(); ++i) {
      symbols.at(i + 1).st_name = places.at(i).first;
      symbols.at(i + 1).st_value = places.at(i).second;
      symbols.at(i + 1).st_shndx = 1;
    }
    Elf64_Ehdr header{};
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_machine = EM_X86_64;
    header.e_phentsize = sizeof(Elf64_Phdr);
    header.e_phoff = sizeof header;
    header.e_phnum = 1;
    header.e_shentsize = sizeof(Elf64_Shdr);
    header.e_shnum = 5;
    header.e_shstrndx = 4;
    Elf64_Phdr segment{};
    segment.p_type = PT_LOAD;
    segment.p_vaddr = 0x1000;
    segment.p_filesz = segment.p_memsz = 0x1000;
    std::vector<std::byte> all(sizeof header + sizeof segment);
    std::memcpy(all.data() + sizeof header, &segment, sizeof segment);
    std::array<Elf64_Shdr, 5> sections{};
    const auto add = [&](std::size_t index, std::uint32_t name, std::uint32_t type, std::uint32_t link,
                         std::span<const std::byte> content) {
      sections.at(index) = {.sh_name = name,
                            .sh_type = type,
                            .sh_flags = 0,
                            .sh_addr = 0,
                            .sh_offset = all.size(),
                            .sh_size = content.size(),
                            .sh_link = link,
                            .sh_info = 0,
                            .sh_addralign = 0,
                            .sh_entsize = 0};
      all.insert(all.end(), content.begin(), content.end());
    };
    add(1, 1, SHT_DYNSYM, 2, std::as_bytes(std::span{symbols}));
    add(2, 9, SHT_STRTAB, 0, std::as_bytes(std::span{texts}));
    add(3, 17, SHT_RELA, 1, std::as_bytes(std::span{relocations_}));
    add(4, 27, SHT_STRTAB, 0, std::as_bytes(std::span{names}));
    header.e_shoff = all.size();
    const auto table = std::as_bytes(std::span{sections});
    all.insert(all.end(), table.begin(), table.end());
    std::memcpy(all.data(), &header, sizeof header);
    std::string path{"/tmp/sampler-test-XXXXXX"};
    UniqueFd file{::mkstemp(path.data())};
    REQUIRE(file);
    ::unlink(path.c_str());
    REQUIRE(::write(file.get(), all.data(), all.size()) == static_cast<ssize_t>(all.size()));
    auto elf = ElfFile::open(std::move(file));
    REQUIRE(elf);
    return std::move(*elf);
  }
  [[nodiscard]] InterpreterFile file() const { return interpreter_file("/lib/libpython.so", open(), {bias}); }

 private:
  std::vector<Elf64_Rela> relocations_;
};

/// Memory with one word for each address.
class FakeWords final : public RemoteMemory {
 public:
  Result<void, ReadError> read(RemoteAddress from, std::span<std::byte> into) noexcept override {
    const auto word = words.find(from.value);
    if (word == words.end() || into.size() != sizeof word->second) return Failure{ReadError{from, 8, EFAULT}};
    std::memcpy(into.data(), &word->second, sizeof word->second);
    return {};
  }
  std::map<std::uint64_t, std::uint64_t> words;
};

}  // namespace

TEST_CASE("objects that the loader is not asked for are the file's own", "[cpython]") {
  const auto file = FakeLibrary{}.file();
  FakeWords memory;
  const InterpreterImage image{file, FakeLibrary::bias, memory};
  CHECK(image.code_type() == RemoteAddress{FakeLibrary::bias + FakeLibrary::code_type});
  CHECK(image.runtime() == RemoteAddress{FakeLibrary::bias + FakeLibrary::runtime});
  CHECK(image.static_gil().current_thread == RemoteAddress{FakeLibrary::bias + FakeLibrary::current_thread});
  CHECK(image.range().contains(image.code_type()));
  CHECK(image.is_linked());
}

TEST_CASE("objects are where the loader has linked their names to, a program's copies say", "[cpython]") {
  FakeLibrary library;
  library.add_slot(1, 0x1800);
  library.add_slot(2, 0x1808);
  library.add_slot(3, 0x1810);
  const auto file = library.file();
  FakeWords memory;
  memory.words = {{FakeLibrary::bias + 0x1800, 0x40'1000},
                  {FakeLibrary::bias + 0x1808, 0x40'2000},
                  {FakeLibrary::bias + 0x1810, 0x40'3000}};
  const InterpreterImage image{file, FakeLibrary::bias, memory};
  CHECK(image.code_type() == RemoteAddress{0x40'1000});
  CHECK(image.runtime() == RemoteAddress{0x40'2000});
  CHECK(image.static_gil().current_thread == RemoteAddress{0x40'3000});
  CHECK(image.own_runtime() == RemoteAddress{FakeLibrary::bias + FakeLibrary::runtime});
  CHECK(image.is_linked());
}

TEST_CASE("while the loader is at work nobody knows where the objects are", "[cpython]") {
  FakeLibrary library;
  library.add_slot(2, 0x1808);
  const auto file = library.file();
  FakeWords memory;
  memory.words = {{FakeLibrary::bias + 0x1808, 0}};
  const InterpreterImage image{file, FakeLibrary::bias, memory};
  CHECK(image.runtime().is_null());
  CHECK_FALSE(image.is_linked());
}

TEST_CASE("a program that has a copy of PyCode_Type holds no interpreter", "[cpython]") {
  FakeLibrary program;
  CHECK(holding_of(program.open()) == Holding::interpreter);
  program.add_copy(1, FakeLibrary::code_type);
  CHECK(holding_of(program.open()) == Holding::copy);
}

}  // namespace sampler
