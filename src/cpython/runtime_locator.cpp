#include "sampler/cpython/runtime_locator.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <string_view>

#include "sampler/base/file.h"
#include "sampler/base/log.h"
#include "sampler/cpython/thread_lister.h"
#include "sampler/cpython/version_detector.h"
#include "sampler/elf/elf_file.h"

namespace sampler {
namespace {

/// An interpreter's file, where it is loaded.
struct LoadedFile {
  std::string path;
  ElfFile elf;
  std::uint64_t bias = 0;
};

/// "python3.12", "libpython3.6m.so.1.0", "python": what the file of an interpreter is called.
bool is_python_name(std::string_view path) {
  auto name = base_name(path);
  if (name.starts_with("lib")) name.remove_prefix(3);
  return name.starts_with("python");
}

/// The first mapping of each file that may hold an interpreter: those with its name, libraries first, then
/// the program itself, which may embed one under any name.
std::vector<FileMapping> candidates(const Process& process, const std::vector<FileMapping>& mappings) {
  const auto exe = read_link(process.proc_path("exe"));
  const auto rank = [&](const FileMapping& mapping) {
    if (is_python_name(mapping.path)) return base_name(mapping.path).starts_with("lib") ? 0 : 1;
    return exe && exe->starts_with(mapping.path) ? 2 : 3;
  };
  std::vector<FileMapping> found;
  for (const auto& mapping : mappings) {
    const bool is_known = std::any_of(found.begin(), found.end(), [&](const FileMapping& other) {
      return other.inode == mapping.inode && other.path == mapping.path;
    });
    if (!is_known && rank(mapping) < 3) found.push_back(mapping);
  }
  std::stable_sort(found.begin(), found.end(),
                   [&](const FileMapping& a, const FileMapping& b) { return rank(a) < rank(b); });
  return found;
}

std::optional<LoadedFile> load(const Process& process, const FileMapping& mapping) {
  auto file = process.open_mapping(mapping);
  if (!file) {
    log(LogLayer::cpython, LogLevel::info,
        fmt::format("cannot open {} of process {}: {}", mapping.path, number(process.pid()),
                    errno_text(file.error())));
    return std::nullopt;
  }
  auto elf = ElfFile::open(std::move(*file));
  if (!elf) return std::nullopt;
  const auto bias = elf->load_bias(mapping.start.value, mapping.file_offset);
  if (!bias) return std::nullopt;
  return LoadedFile{mapping.path, std::move(*elf), *bias};
}

/// Addresses of symbols in the target; null for those that are not defined.
class Symbols {
 public:
  Symbols(const LoadedFile& file, std::span<const std::string_view> names)
      : addresses_{file.elf.symbols(names)}, bias_{file.bias} {}

  [[nodiscard]] RemoteAddress operator[](const std::string& name) const {
    const auto found = addresses_.find(name);
    return found == addresses_.end() ? RemoteAddress{} : RemoteAddress{found->second + bias_};
  }

 private:
  SymbolAddresses addresses_;
  std::uint64_t bias_;
};

/// The interpreter list's head before there was a _PyRuntime: a static variable, so a stripped file names
/// only the function that loads it.
RemoteAddress static_interpreters_head(const LoadedFile& file) {
  constexpr std::array<std::string_view, 2> names{"interp_head", "PyInterpreterState_Head"};
  const auto symbols = file.elf.symbols(names);
  if (const auto head = symbols.find("interp_head"); head != symbols.end()) return {head->second + file.bias};
  const auto function = symbols.find("PyInterpreterState_Head");
  if (function == symbols.end()) return {};
  const auto code = file.elf.bytes_at(function->second, 16);
  const auto address = code ? loaded_address(*code, function->second) : std::nullopt;
  return address ? RemoteAddress{*address + file.bias} : RemoteAddress{};
}

RemoteAddress runtime_address(const LoadedFile& file) {
  constexpr std::array<std::string_view, 1> names{"_PyRuntime"};
  const auto by_symbol = Symbols{file, names}["_PyRuntime"];
  if (!by_symbol.is_null()) return by_symbol;
  const auto* section = file.elf.section(".PyRuntime");
  return section != nullptr ? RemoteAddress{section->address + file.bias} : RemoteAddress{};
}

GilAddresses static_gil(const LoadedFile& file) {
  constexpr std::array<std::string_view, 7> names{
      "gil_locked", "gil_last_holder",        "gil_switch_number", "gil_cond",
      "gil_mutex",  "_PyThreadState_Current", "interpreter_lock"};
  const Symbols symbols{file, names};
  GilAddresses gil;
  gil.locked = symbols["gil_locked"];
  gil.last_holder = symbols["gil_last_holder"];
  gil.switch_number = symbols["gil_switch_number"];
  gil.cond = symbols["gil_cond"];
  gil.mutex = symbols["gil_mutex"];
  gil.current_thread = symbols["_PyThreadState_Current"];
  gil.lock_pointer = symbols["interpreter_lock"];
  return gil;
}

/// The main interpreter: the first made, so the last of the list. Null while there is none.
RemoteAddress main_interpreter(RemoteMemory& memory, RemoteAddress head, const Layout& layout) {
  auto next = read_as<RemoteAddress>(memory, head);
  RemoteAddress last;
  for (std::size_t i = 0; i < most_interpreters && next && !next->is_null(); ++i) {
    last = *next;
    next = read_as<RemoteAddress>(memory, last + layout.interpreter.next.offset);
  }
  return last;
}

/// The addresses that the file alone tells.
PythonRuntime runtime_in(const LoadedFile& file, const Layout& layout) {
  constexpr std::array<std::string_view, 1> code_type{"PyCode_Type"};
  PythonRuntime runtime;
  runtime.layout = &layout;
  runtime.code_type = Symbols{file, code_type}["PyCode_Type"];
  const auto base = layout.runtime.interpreters_head.exists() ? runtime_address(file) : RemoteAddress{};
  runtime.interpreters_head = layout.runtime.interpreters_head.exists()
                                  ? base + layout.runtime.interpreters_head.offset
                                  : static_interpreters_head(file);
  switch (layout.traits.gil) {
    case GilKind::current_thread:
    case GilKind::static_variables:
      runtime.gil = static_gil(file);
      break;
    case GilKind::in_runtime:
      runtime.gil.state = base + layout.runtime.gil.offset;
      break;
    case GilKind::in_interpreter:
      break;  // is_initialised follows the interpreter's pointer
  }
  return runtime;
}

bool holds_interpreter(const LoadedFile& file) {
  constexpr std::array<std::string_view, 1> code_type{"PyCode_Type"};
  return !file.elf.symbols(code_type).empty();
}

Error not_python(const Process& process) {
  const auto stat = read_stat(std::to_string(number(process.pid())));
  return Error{ErrorKind::not_python,
               fmt::format("process {} ({}) is not a Python", number(process.pid()), stat ? stat->name : "?"),
               "give the number of a Python process; pgrep -a python lists them"};
}

}  // namespace

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

/// glibc itself publishes, for debuggers, where struct pthread keeps the thread's number: {bits, count,
/// offset}.
std::optional<std::uint32_t> find_tid_offset(const Process& process) {
  constexpr std::array<std::string_view, 1> name{"_thread_db_pthread_tid"};
  constexpr std::uint32_t tid_bits = 32;
  constexpr std::uint32_t most = 16384;
  for (const auto& mapping : process.file_mappings()) {
    const auto file_name = base_name(mapping.path);
    if (!file_name.starts_with("libc.so") && !file_name.starts_with("libc-2") &&
        !file_name.starts_with("libpthread")) {
      continue;
    }
    const auto file = load(process, mapping);
    if (!file) continue;
    const auto symbols = file->elf.symbols(name);
    if (symbols.empty()) continue;
    const auto bytes = file->elf.bytes_at(symbols.begin()->second, sizeof(std::array<std::uint32_t, 3>));
    if (!bytes) continue;
    std::array<std::uint32_t, 3> descriptor{};  // bits, count, offset
    std::memcpy(descriptor.data(), bytes->data(), sizeof descriptor);
    if (descriptor[0] == tid_bits && descriptor[2] < most) return descriptor[2];
  }
  return std::nullopt;
}

std::vector<Pid> python_descendants(Pid parent) {
  auto found = descendants(parent);
  std::erase_if(found, [](Pid pid) {
    const auto maps = read_file(fmt::format("/proc/{}/maps", number(pid)));
    if (!maps) return true;
    const auto mappings = parse_maps(*maps);
    return std::none_of(mappings.begin(), mappings.end(),
                        [](const FileMapping& mapping) { return is_python_name(mapping.path); });
  });
  return found;
}

Result<PythonRuntime, Error> locate_runtime(const Process& process, const LayoutCatalog& catalog) {
  for (const auto& mapping : candidates(process, process.file_mappings())) {
    const auto file = load(process, mapping);
    if (!file || !holds_interpreter(*file)) continue;
    const auto version = detect_version(file->elf, base_name(file->path));
    if (!version) {
      return Failure{Error{ErrorKind::unsupported_python,
                           fmt::format("cannot tell the Python version of {}", file->path),
                           "report it with the output of: file " + file->path}};
    }
    try {
      const auto& layout = catalog.find(*version);
      log(LogLayer::cpython, LogLevel::info, fmt::format("Python {} in {}", to_string(*version), file->path));
      return runtime_in(*file, layout);
    } catch (const Error& error) {
      return Failure{error};
    }
  }
  return Failure{not_python(process)};
}

bool is_initialised(RemoteMemory& memory, PythonRuntime& runtime) {
  const auto& layout = *runtime.layout;
  const auto interpreter = main_interpreter(memory, runtime.interpreters_head, layout);
  if (interpreter.is_null()) return false;
  const auto thread = read_as<RemoteAddress>(memory, interpreter + layout.interpreter.threads_head.offset);
  if (!thread || thread->is_null()) return false;
  if (layout.interpreter.gil.exists()) {
    const auto state = read_as<RemoteAddress>(memory, interpreter + layout.interpreter.gil.offset);
    if (!state || state->is_null()) return false;
    runtime.gil.state = *state;
  }
  if (runtime.gil.state.is_null()) return true;  // the older GILs may be made at any later time
  const auto locked = read_as<std::int32_t>(memory, runtime.gil.state + layout.gil.locked.offset);
  return locked && *locked >= 0;  // -1: not made yet
}

}  // namespace sampler
