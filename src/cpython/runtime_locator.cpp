#include "sampler/cpython/runtime_locator.h"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

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
  bool is_by_name = false;
};

void tell(std::vector<LocateStep>* steps, bool is_ok, std::string what) {
  if (steps != nullptr) steps->push_back({is_ok, std::move(what)});
}

/// The Python that is not CPython and has files of this name; empty where there is none.
std::string_view other_python(std::string_view path) {
  const auto name = base_name(path);
  if (name.starts_with("libpypy") || name.starts_with("pypy")) return "PyPy";
  // GraalPy's C API has CPython's names, and other objects behind them.
  if (name.starts_with("libpythonvm.") || name.starts_with("libpython-native.")) return "GraalPy";
  return {};
}

/// "python3.12", "libpython3.6m.so.1.0", "python": what the file of an interpreter is called.
bool is_python_name(std::string_view path) {
  if (!other_python(path).empty()) return false;
  auto name = base_name(path);
  if (name.starts_with("lib")) name.remove_prefix(3);
  return name.starts_with("python");
}

bool is_same_file(const FileMapping& a, const FileMapping& b) {
  return a.inode == b.inode && a.path == b.path;
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
    const bool is_known = std::any_of(found.begin(), found.end(),
                                      [&](const FileMapping& other) { return is_same_file(other, mapping); });
    if (!is_known && rank(mapping) < 3) found.push_back(mapping);
  }
  std::stable_sort(found.begin(), found.end(),
                   [&](const FileMapping& a, const FileMapping& b) { return rank(a) < rank(b); });
  return found;
}

/// The file of a mapping, or what is wrong with it.
Result<LoadedFile, std::string> load(const Process& process, const FileMapping& mapping) {
  auto file = process.open_mapping(mapping);
  if (!file) {
    log(LogLayer::cpython, LogLevel::info,
        fmt::format("cannot open {} of process {}: {}", mapping.path, number(process.pid()),
                    errno_text(file.error())));
    return Failure{"cannot be opened: " + errno_text(file.error())};
  }
  auto elf = ElfFile::open(std::move(file->file));
  if (!elf) return Failure<std::string>{"is no x86-64 ELF file"};
  const auto bias = elf->load_bias(mapping.start.value, mapping.file_offset);
  if (!bias) return Failure<std::string>{"is not mapped as its headers say"};
  return LoadedFile{mapping.path, std::move(*elf), *bias, file->is_by_name};
}

/// Addresses of symbols in the target; null for those that are not defined.
class Symbols {
 public:
  Symbols(const LoadedFile& file, std::span<const std::string_view> names)
      : symbols_{file.elf.symbols(names)}, bias_{file.bias} {}

  [[nodiscard]] RemoteAddress operator[](const std::string& name) const {
    const auto found = symbols_.find(name);
    return found == symbols_.end() ? RemoteAddress{} : RemoteAddress{found->second.address + bias_};
  }

 private:
  ElfSymbols symbols_;
  std::uint64_t bias_;
};

/// The interpreter list's head before there was a _PyRuntime: a static variable, so a stripped file names
/// only the function that loads it.
RemoteAddress static_interpreters_head(const LoadedFile& file) {
  constexpr std::array<std::string_view, 2> names{"interp_head", "PyInterpreterState_Head"};
  const auto symbols = file.elf.symbols(names);
  if (const auto head = symbols.find("interp_head"); head != symbols.end())
    return {head->second.address + file.bias};
  const auto function = symbols.find("PyInterpreterState_Head");
  if (function == symbols.end()) return {};
  const auto code = file.elf.bytes_at(function->second.address, 16);
  const auto address = code ? loaded_address(*code, function->second.address) : std::nullopt;
  return address ? RemoteAddress{*address + file.bias} : RemoteAddress{};
}

/// Where _PyRuntime is in the file; at 0 where there is none.
ElfSymbol runtime_symbol(const LoadedFile& file) {
  constexpr std::array<std::string_view, 1> names{"_PyRuntime"};
  const auto symbols = file.elf.symbols(names);
  if (!symbols.empty()) return symbols.begin()->second;
  const auto* section = file.elf.section(".PyRuntime");
  return section != nullptr ? ElfSymbol{section->address, section->size} : ElfSymbol{};
}

RemoteAddress runtime_address(const LoadedFile& file) {
  const auto symbol = runtime_symbol(file);
  return symbol.address != 0 ? RemoteAddress{symbol.address + file.bias} : RemoteAddress{};
}

/// Throws where the layout is for other releases of this version.
void require_size(const Layout& layout, const LoadedFile& file) {
  const auto size = runtime_symbol(file).size;
  if (layout.runtime.size == 0 || size == 0 || size == layout.runtime.size) return;
  throw Error{
      ErrorKind::unsupported_python,
      fmt::format("the Python {} in {} is of a release that its layout is not for: its _PyRuntime has "
                  "{} bytes, not {}",
                  to_string(layout.version), file.path, size, layout.runtime.size),
      "README.md lists the supported releases; for another, make a layout from its headers with "
      "tools/gen_layout.py and give its folder with --layout-dir"};
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

/// The table of its own offsets that a CPython from 3.13 on has at the start of its _PyRuntime: at most
/// `size` bytes of it.
std::vector<std::byte> read_table(RemoteMemory& memory, RemoteAddress base, std::size_t size) {
  std::vector<std::byte> bytes(size);
  if (base.is_null() || !memory.read(base, bytes)) bytes.clear();
  return bytes;
}

std::optional<DetectedVersion> version_of(const LoadedFile& file, RemoteMemory& memory, RemoteAddress base) {
  const auto version = version_of_table(read_table(memory, base, table_head_size));
  if (version) return DetectedVersion{*version, "its own table of offsets"};
  return detect_version(file.elf, base_name(file.path));
}

/// The layout of a version, with what only the target's own table tells. Throws the Error that says why there
/// is none.
std::shared_ptr<const Layout> layout_of(const LayoutCatalog& catalog, PythonVersion version,
                                        const std::string& path, RemoteMemory& memory, RemoteAddress base) {
  const auto& source = catalog.find(version);
  if (source.schema.empty()) return std::make_shared<const Layout>(source.layout);
  const auto damaged = [&](std::string_view why) {
    return Error{
        ErrorKind::unsupported_python,
        fmt::format("the table of offsets of Python {} in {} is damaged: {}", to_string(version), path, why),
        "report it with the output of: file " + path};
  };
  const auto& schema = catalog.schema_of(source);
  const auto bytes = read_table(memory, base, schema.words.size() * sizeof(std::uint64_t));
  if (version_of_table(bytes) != version) throw damaged("its first words are not that version's");
  auto layout = complete_layout(source, DebugOffsets{schema, bytes});
  if (!layout) throw damaged(layout.error());
  return std::make_shared<const Layout>(*layout);
}

/// The addresses that the file alone tells.
PythonRuntime runtime_in(const LoadedFile& file, RemoteAddress base, std::shared_ptr<const Layout> shared) {
  constexpr std::array<std::string_view, 1> code_type{"PyCode_Type"};
  const auto& layout = *shared;
  PythonRuntime runtime;
  runtime.code_type = Symbols{file, code_type}["PyCode_Type"];
  const auto [begin, end] = file.elf.extent();
  runtime.image = {RemoteAddress{begin + file.bias}, RemoteAddress{end + file.bias}};
  runtime.interpreters_head = layout.runtime.interpreters_head.exists()
                                  ? base + layout.runtime.interpreters_head.offset
                                  : static_interpreters_head(file);
  if (layout.runtime.finalizing.exists()) runtime.finalizing = base + layout.runtime.finalizing.offset;
  switch (layout.traits.gil) {
    case GilKind::none:
      break;
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
  runtime.layout = std::move(shared);
  return runtime;
}

bool holds_interpreter(const LoadedFile& file) {
  constexpr std::array<std::string_view, 1> code_type{"PyCode_Type"};
  return !file.elf.symbols(code_type).empty();
}

/// The first file of a process that holds an interpreter.
std::optional<LoadedFile> interpreter_file(const Process& process, std::vector<LocateStep>* steps) {
  const auto mappings = process.file_mappings();
  if (mappings.empty()) tell(steps, false, "its mapped files cannot be listed");
  for (const auto& mapping : candidates(process, mappings)) {
    const auto path = mapping.path + (mapping.deleted ? " (deleted)" : "");
    auto file = load(process, mapping);
    if (!file) {
      tell(steps, false, fmt::format("{} {}", path, file.error()));
      continue;
    }
    const bool holds_one = holds_interpreter(*file);
    tell(steps, holds_one,
         fmt::format("{}, opened {}, has {}PyCode_Type", path, file->is_by_name ? "by name" : "as mapped",
                     holds_one ? "" : "no "));
    if (holds_one) return std::move(*file);
  }
  return std::nullopt;
}

/// The program is a 32-bit ELF file.
bool is_32_bit(const Process& process) {
  const auto head = read_file(process.proc_path("exe"), EI_CLASS + 1);
  return head && head->size() > EI_CLASS && head->starts_with(ELFMAG) && (*head)[EI_CLASS] == ELFCLASS32;
}

/// What is wrong with a file that is an interpreter by its name or its content; nothing where it is none.
std::optional<Error> what_is_wrong(const Process& process, const FileMapping& mapping) {
  const auto pid = number(process.pid());
  if (const auto opened = process.open_mapping(mapping); !opened && is_python_name(mapping.path)) {
    return Error{
        ErrorKind::permission,
        fmt::format("cannot open {} of process {}: {}", mapping.path, pid, errno_text(opened.error())),
        opened.error() == EACCES
            ? "the file, or a directory on its path, is closed to our user: run as root, as a user who may "
              "read "
              "it, or with CAP_DAC_READ_SEARCH"
            : "a mapped file that was deleted or replaced can be opened with CAP_SYS_ADMIN or "
              "CAP_CHECKPOINT_RESTORE only: run as root, or restart the program"};
  }
  // From 3.10 on _PyRuntime has a section of its own, which strip leaves.
  if (const auto file = load(process, mapping); file && file->elf.section(".PyRuntime") != nullptr) {
    return Error{
        ErrorKind::unsupported_python,
        fmt::format("process {} has a Python in {} whose names were all stripped", pid, mapping.path),
        "link that program with -rdynamic, or keep its symbols"};
  }
  return std::nullopt;
}

/// Why no file of a process holds an interpreter that we can find.
Error not_python(const Process& process) {
  const auto stat = read_stat(std::to_string(number(process.pid())));
  const auto who = fmt::format("process {} ({})", number(process.pid()), stat ? stat->name : "?");
  if (is_32_bit(process)) {
    return Error{ErrorKind::not_python, who + " is a 32-bit program",
                 "sampler reads 64-bit (x86-64) Pythons only"};
  }
  const auto mappings = process.file_mappings();
  for (const auto& mapping : mappings) {
    if (const auto name = other_python(mapping.path); !name.empty()) {
      return Error{ErrorKind::not_python, fmt::format("{} runs {}, not CPython", who, name),
                   "sampler reads CPython only: run the program with python3 to profile it"};
    }
  }
  for (const auto& mapping : candidates(process, mappings)) {
    if (auto error = what_is_wrong(process, mapping)) return std::move(*error);
  }
  return Error{ErrorKind::not_python, who + " is not a Python",
               "give the number of a Python process; pgrep -a python lists them"};
}

/// Where a glibc keeps the thread's number in struct pthread; it publishes it for debuggers: {bits, count,
/// offset}.
std::optional<std::uint32_t> tid_offset_in(const LoadedFile& file) {
  constexpr std::array<std::string_view, 1> name{"_thread_db_pthread_tid"};
  constexpr std::uint32_t tid_bits = 32;
  constexpr std::uint32_t most = 16384;
  const auto symbols = file.elf.symbols(name);
  if (symbols.empty()) return std::nullopt;
  const auto bytes = file.elf.bytes_at(symbols.begin()->second.address, sizeof(std::array<std::uint32_t, 3>));
  if (!bytes) return std::nullopt;
  std::array<std::uint32_t, 3> descriptor{};  // bits, count, offset
  std::memcpy(descriptor.data(), bytes->data(), sizeof descriptor);
  if (descriptor[0] != tid_bits || descriptor[2] >= most) return std::nullopt;
  return descriptor[2];
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

std::optional<std::uint32_t> find_tid_offset(const Process& process) {
  const auto exe = read_link(process.proc_path("exe"));
  FileMapping last;
  for (const auto& mapping : process.file_mappings()) {
    if (is_same_file(std::exchange(last, mapping), mapping)) continue;
    const auto name = base_name(mapping.path);
    const bool is_glibc =
        name.starts_with("libc.so") || name.starts_with("libc-2") || name.starts_with("libpthread");
    const bool is_program = exe && exe->starts_with(mapping.path);  // it may have glibc linked into it
    if (!is_glibc && !is_program) continue;
    const auto file = load(process, mapping);
    if (const auto offset = file ? tid_offset_in(*file) : std::nullopt) return offset;
  }
  return std::nullopt;
}

std::vector<Pid> python_descendants(Pid parent) {
  auto found = descendants(parent);
  std::erase_if(found, [](Pid pid) {
    const auto living = living_thread(pid).value_or(Tid{number(pid)});
    const auto maps = read_file(fmt::format("/proc/{}/task/{}/maps", number(pid), number(living)));
    if (!maps) return true;
    const auto mappings = parse_maps(*maps);
    return std::none_of(mappings.begin(), mappings.end(),
                        [](const FileMapping& mapping) { return is_python_name(mapping.path); });
  });
  return found;
}

Result<PythonRuntime, Error> locate_runtime(const Process& process, RemoteMemory& memory,
                                            const LayoutCatalog& catalog, std::vector<LocateStep>* steps) {
  const auto file = interpreter_file(process, steps);
  if (!file) return Failure{not_python(process)};
  const auto base = runtime_address(*file);
  const auto detected = version_of(*file, memory, base);
  if (!detected) {
    return Failure{Error{ErrorKind::unsupported_python,
                         fmt::format("cannot tell the Python version of {}", file->path),
                         "report it with the output of: file " + file->path}};
  }
  const auto version = detected->version;
  tell(steps, true, fmt::format("it is Python {}, by {}", to_string(version), detected->teller));
  try {
    auto layout = layout_of(catalog, version, file->path, memory, base);
    require_size(*layout, *file);
    log(LogLayer::cpython, LogLevel::info, fmt::format("Python {} in {}", to_string(version), file->path));
    auto runtime = runtime_in(*file, base, std::move(layout));
    const auto& source = catalog.find(version);
    tell(steps, true,
         fmt::format("its layout: {}{}", source.origin(),
                     source.schema.empty() ? "" : ", and the offsets that it publishes"));
    const auto head = runtime.interpreters_head;
    const bool is_in_file = runtime.image.contains(head);
    tell(steps, is_in_file,
         is_in_file ? fmt::format("its list of interpreters is at {:#x}", head.value)
                    : "where its list of interpreters is cannot be told");
    return runtime;
  } catch (const Error& error) {
    return Failure{error};
  }
}

bool has_python_program(const Process& process) {
  const auto exe = read_link(process.proc_path("exe"));
  return exe && is_python_name(*exe);
}

bool is_finalizing(RemoteMemory& memory, const PythonRuntime& runtime) {
  if (runtime.finalizing.is_null()) return false;
  const auto thread = read_as<RemoteAddress>(memory, runtime.finalizing);
  return thread && !thread->is_null();
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
  if (runtime.gil.state.is_null()) return true;  // no GIL, or an older one, made at any later time
  const auto locked = read_as<std::int32_t>(memory, runtime.gil.state + layout.gil.locked.offset);
  return locked && *locked >= 0;  // -1: not made yet
}

}  // namespace sampler
