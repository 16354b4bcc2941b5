#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sampler/base/remote_address.h"
#include "sampler/cpython/python_runtime.h"
#include "sampler/elf/elf_file.h"
#include "sampler/memory/remote_memory.h"

namespace sampler {

/// A file that holds an interpreter, and the places where it is loaded.
struct InterpreterFile {
  std::string path;
  ElfFile elf;
  std::vector<std::uint64_t> biases;  ///< the most complete first
  ElfSymbol code_type;
  ElfSymbol runtime;         ///< _PyRuntime; at 0 where the file has none
  ElfReferences references;  ///< of the names that other files may define too
};

/// What a file has of an interpreter.
enum class Holding {
  none,
  copy,  ///< a copy of its library's PyCode_Type, as programs have that name it
  interpreter,
};

[[nodiscard]] Holding holding_of(const ElfFile& elf);

/// What a file that holds an interpreter says of itself.
[[nodiscard]] InterpreterFile interpreter_file(std::string path, ElfFile elf,
                                               std::vector<std::uint64_t> biases);

/// Such a file in one of its places. Of a name that several files define the process uses one definition, the
/// first in the loader's order: mostly the file's own, but for a program that has copied it (R_X86_64_COPY),
/// or a Python that was there before.
class InterpreterImage {
 public:
  InterpreterImage(const InterpreterFile& file, std::uint64_t bias, RemoteMemory& memory);

  [[nodiscard]] AddressRange range() const noexcept { return range_; }
  /// What the process uses; null where the file has none, or while the loader has not told.
  [[nodiscard]] RemoteAddress code_type() const noexcept { return code_type_; }
  [[nodiscard]] RemoteAddress runtime() const noexcept { return runtime_; }
  /// The file's own _PyRuntime, whose table of offsets is right whoever uses it; null where it has none.
  [[nodiscard]] RemoteAddress own_runtime() const noexcept;
  /// The interpreter list's head before there was a _PyRuntime.
  [[nodiscard]] RemoteAddress static_interpreters_head() const;
  /// The GIL's static variables, of those Pythons that have them.
  [[nodiscard]] GilAddresses static_gil() const;
  /// False while the loader is still at work: addresses are missing.
  [[nodiscard]] bool is_linked() const noexcept { return is_linked_; }

 private:
  [[nodiscard]] RemoteAddress at(std::uint64_t address) const noexcept;
  /// Whose definition of a name is used, where ours is at `own`.
  [[nodiscard]] RemoteAddress used(const std::string& name, RemoteAddress own);

  const InterpreterFile& file_;
  std::uint64_t bias_;
  RemoteMemory& memory_;
  AddressRange range_;
  bool is_linked_ = true;
  RemoteAddress code_type_, runtime_, current_thread_;
};

/// The address that PyInterpreterState_Head of 2.7 and 3.6 loads, from its machine code at `function`:
/// [endbr64] mov rax, [rip + disp32]; ret. Nothing where the code is another.
[[nodiscard]] std::optional<std::uint64_t> loaded_address(std::span<const std::byte> code,
                                                          std::uint64_t function);

}  // namespace sampler
