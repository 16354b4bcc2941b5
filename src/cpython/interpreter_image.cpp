#include "sampler/cpython/interpreter_image.h"

#include <array>
#include <cstring>
#include <utility>

namespace sampler {
namespace {

constexpr std::string_view code_type_name = "PyCode_Type";
constexpr std::string_view runtime_name = "_PyRuntime";
constexpr std::string_view current_thread_name = "_PyThreadState_Current";

ElfSymbol symbol_in(const ElfFile& elf, std::string_view name) {
  const auto symbols = elf.symbols(std::span{&name, 1});
  return symbols.empty() ? ElfSymbol{} : symbols.begin()->second;
}

/// From 3.10 on _PyRuntime has a section of its own, which strip leaves.
ElfSymbol runtime_in(const ElfFile& elf) {
  if (const auto symbol = symbol_in(elf, runtime_name); symbol.address != 0) return symbol;
  const auto* section = elf.section(".PyRuntime");
  return section != nullptr ? ElfSymbol{section->address, section->size} : ElfSymbol{};
}

}  // namespace

Holding holding_of(const ElfFile& elf) {
  if (symbol_in(elf, code_type_name).address == 0) return Holding::none;
  const auto references = elf.references(std::span{&code_type_name, 1});
  const auto its = references.find(std::string{code_type_name});
  return its != references.end() && its->second.is_copied ? Holding::copy : Holding::interpreter;
}

InterpreterFile interpreter_file(std::string path, ElfFile elf, std::vector<std::uint64_t> biases) {
  constexpr std::array<std::string_view, 3> shared{code_type_name, runtime_name, current_thread_name};
  const auto code_type = symbol_in(elf, code_type_name);
  const auto runtime = runtime_in(elf);
  auto references = elf.references(shared);
  return {std::move(path), std::move(elf), std::move(biases), code_type, runtime, std::move(references)};
}

InterpreterImage::InterpreterImage(const InterpreterFile& file, std::uint64_t bias, RemoteMemory& memory)
    : file_{file}, bias_{bias}, memory_{memory} {
  const auto [begin, end] = file.elf.extent();
  range_ = {{begin + bias}, {end + bias}};
  code_type_ = used(std::string{code_type_name}, at(file.code_type.address));
  runtime_ = used(std::string{runtime_name}, own_runtime());
  current_thread_ = used(std::string{current_thread_name}, {});
}

RemoteAddress InterpreterImage::at(std::uint64_t address) const noexcept {
  return address != 0 ? RemoteAddress{address + bias_} : RemoteAddress{};
}

RemoteAddress InterpreterImage::own_runtime() const noexcept {
  return at(file_.runtime.address);
}

RemoteAddress InterpreterImage::used(const std::string& name, RemoteAddress own) {
  const auto reference = file_.references.find(name);
  if (reference == file_.references.end() || !reference->second.slot) return own;
  const auto linked = read_as<RemoteAddress>(memory_, {*reference->second.slot + bias_});
  if (!linked) return own;
  is_linked_ = is_linked_ && !linked->is_null();
  return *linked;
}

RemoteAddress InterpreterImage::static_interpreters_head() const {
  // A static variable: a stripped file names only the function that loads it.
  constexpr std::array<std::string_view, 2> names{"interp_head", "PyInterpreterState_Head"};
  const auto symbols = file_.elf.symbols(names);
  if (const auto head = symbols.find("interp_head"); head != symbols.end()) return at(head->second.address);
  const auto function = symbols.find("PyInterpreterState_Head");
  if (function == symbols.end()) return {};
  const auto code = file_.elf.bytes_at(function->second.address, 16);
  const auto address = code ? loaded_address(*code, function->second.address) : std::nullopt;
  return address ? at(*address) : RemoteAddress{};
}

GilAddresses InterpreterImage::static_gil() const {
  constexpr std::array<std::string_view, 7> names{"gil_locked",      "gil_last_holder", "gil_switch_number",
                                                  "gil_cond",        "gil_mutex",       current_thread_name,
                                                  "interpreter_lock"};
  const auto symbols = file_.elf.symbols(names);
  const auto address_of = [&](std::string_view name) {
    const auto symbol = symbols.find(std::string{name});
    return symbol == symbols.end() ? RemoteAddress{} : at(symbol->second.address);
  };
  GilAddresses gil;
  gil.locked = address_of("gil_locked");
  gil.last_holder = address_of("gil_last_holder");
  gil.switch_number = address_of("gil_switch_number");
  gil.cond = address_of("gil_cond");
  gil.mutex = address_of("gil_mutex");
  gil.current_thread = current_thread_.is_null() ? address_of(current_thread_name) : current_thread_;
  gil.lock_pointer = address_of("interpreter_lock");
  return gil;
}

std::optional<std::uint64_t> loaded_address(std::span<const std::byte> code, std::uint64_t function) {
  constexpr std::array<std::uint8_t, 4> endbr64{0xf3, 0x0f, 0x1e, 0xfa};
  constexpr std::array<std::uint8_t, 3> mov_rax_rip{0x48, 0x8b, 0x05};
  const auto starts_with = [&](std::size_t at, std::span<const std::uint8_t> bytes) {
    return code.size() >= at + bytes.size() && std::memcmp(code.data() + at, bytes.data(), bytes.size()) == 0;
  };
  const std::size_t at = starts_with(0, endbr64) ? endbr64.size() : 0;
  const auto end = at + mov_rax_rip.size() + sizeof(std::int32_t);
  constexpr std::byte ret{0xc3};
  if (!starts_with(at, mov_rax_rip) || code.size() <= end || code[end] != ret) return std::nullopt;
  std::int32_t displacement = 0;
  std::memcpy(&displacement, code.data() + at + mov_rax_rip.size(), sizeof displacement);
  return function + end + static_cast<std::uint64_t>(std::int64_t{displacement});
}

}  // namespace sampler
