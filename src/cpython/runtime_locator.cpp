#include "sampler/cpython/runtime_locator.h"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <span>
#include <string_view>
#include <utility>

#include "cpython/interpreter_files.h"
#include "sampler/base/file.h"
#include "sampler/base/log.h"
#include "sampler/cpython/interpreter_image.h"
#include "sampler/cpython/version_detector.h"

namespace sampler {
namespace {

/// More files are not opened to see whether they hold an interpreter.
constexpr std::size_t most_files = 256;
/// Nor is a runtime looked for in more places: as many Pythons as nobody has in one process.
constexpr std::size_t most_images = 64;

void tell(std::vector<LocateStep>* steps, bool is_ok, std::string what) {
  if (steps != nullptr) steps->push_back({is_ok, std::move(what)});
}

std::string shown(const FileMapping& mapping) {
  return mapping.path + (mapping.deleted ? " (deleted)" : "");
}

/// How likely a file holds an interpreter, the likeliest first: those with its name, libraries before
/// programs, then the program itself, which may embed one under any name. Nothing: it holds none.
std::optional<int> rank_of(const FileMapping& mapping, const std::string& exe) {
  if (is_python_name(mapping.path)) return base_name(mapping.path).starts_with("lib") ? 0 : 1;
  return leads_to(exe, mapping) ? std::optional{2} : std::nullopt;
}

/// Where a glibc keeps the thread's number in struct pthread; it publishes it for debuggers: {bits, count,
/// offset}.
std::optional<std::uint32_t> tid_offset_in(const ElfFile& elf) {
  constexpr std::array<std::string_view, 1> name{"_thread_db_pthread_tid"};
  constexpr std::uint32_t tid_bits = 32;
  constexpr std::uint32_t most = 16384;
  const auto symbols = elf.symbols(name);
  if (symbols.empty()) return std::nullopt;
  const auto bytes = elf.bytes_at(symbols.begin()->second.address, sizeof(std::array<std::uint32_t, 3>));
  if (!bytes) return std::nullopt;
  std::array<std::uint32_t, 3> descriptor{};  // bits, count, offset
  std::memcpy(descriptor.data(), bytes->data(), sizeof descriptor);
  if (descriptor[0] != tid_bits || descriptor[2] >= most) return std::nullopt;
  return descriptor[2];
}

/// The same of the first of several files that tells it.
std::optional<std::uint32_t> tid_offset_in(const Process& process, std::span<const FileMapping> glibcs) {
  constexpr std::size_t most = 16;
  for (const auto& mapping : glibcs.first(std::min(most, glibcs.size()))) {
    const auto file = open_elf(process, mapping);
    if (const auto offset = file ? tid_offset_in(file->elf) : std::nullopt) return offset;
  }
  return std::nullopt;
}

/// Whether a file may be a glibc, by its name; the program may have one linked into it.
bool may_be_glibc(const FileMapping& mapping, const std::string& exe) {
  const auto name = base_name(mapping.path);
  return name.starts_with("libc.so") || name.starts_with("libc-2") || name.starts_with("libpthread") ||
         leads_to(exe, mapping);
}

/// What of a process's mappings concerns Pythons.
struct PythonFiles {
  std::vector<MappedFile> candidates;  ///< that may hold an interpreter, the likeliest first
  std::vector<FileMapping> glibcs;     ///< that may be, or hold, a glibc
  std::vector<RemoteAddress> texts;    ///< as in LocatedRuntimes
  std::string_view other;              ///< the Python that is not CPython and has files among them
};

Result<PythonFiles, int> python_files(const Process& process) {
  const auto link = read_link(process.proc_path("exe"));
  const auto exe = link ? *link : std::string{};
  PythonFiles found;
  auto files = mapped_files(process, [&](const FileMapping& mapping) {
    if (found.other.empty()) found.other = other_python(mapping.path);
    if (may_be_interpreter(mapping)) found.texts.push_back(mapping.start);
    if (mapping.file_offset == 0 && may_be_glibc(mapping, exe)) found.glibcs.push_back(mapping);
    return rank_of(mapping, exe).has_value();
  });
  if (!files) return Failure{files.error()};
  // What runs has an executable part, unless somebody has moved it to large pages.
  const auto order = [&](const MappedFile& file) {
    return std::pair{*rank_of(file.first, exe), !file.is_executable};
  };
  std::stable_sort(files->begin(), files->end(),
                   [&](const MappedFile& a, const MappedFile& b) { return order(a) < order(b); });
  found.candidates = std::move(*files);
  return found;
}

/// Throws where the layout is for other releases of this version.
void require_size(const Layout& layout, const InterpreterFile& file) {
  const auto size = file.runtime.size;
  if (layout.runtime.size == 0 || size == 0 || size == layout.runtime.size) return;
  throw Error{
      ErrorKind::unsupported_python,
      fmt::format("the Python {} in {} is of a release that its layout is not for: its _PyRuntime has "
                  "{} bytes, not {}",
                  to_string(layout.version), file.path, size, layout.runtime.size),
      "README.md lists the supported releases; for another, make a layout from its headers with "
      "tools/gen_layout.py and give its folder with --layout-dir"};
}

/// The table of its own offsets that a CPython from 3.13 on has at the start of its _PyRuntime: at most
/// `size` bytes of it.
std::vector<std::byte> read_table(RemoteMemory& memory, RemoteAddress base, std::size_t size) {
  std::vector<std::byte> bytes(size);
  if (base.is_null() || !memory.read(base, bytes)) bytes.clear();
  return bytes;
}

std::optional<DetectedVersion> version_of(const InterpreterFile& file, RemoteMemory& memory,
                                          RemoteAddress base) {
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

/// The runtime in an image, by what the file and the loader tell.
PythonRuntime runtime_in(const InterpreterImage& image, std::shared_ptr<const Layout> shared) {
  const auto& layout = *shared;
  PythonRuntime runtime;
  runtime.code_type = image.code_type();
  runtime.image = image.range();
  const auto base = image.runtime();
  const auto field = [&](const auto& its) {
    return its.exists() && !base.is_null() ? base + its.offset : RemoteAddress{};
  };
  runtime.interpreters_head = layout.runtime.interpreters_head.exists()
                                  ? field(layout.runtime.interpreters_head)
                                  : image.static_interpreters_head();
  runtime.finalizing = field(layout.runtime.finalizing);
  switch (layout.traits.gil) {
    case GilKind::none:
      break;
    case GilKind::current_thread:
    case GilKind::static_variables:
      runtime.gil = image.static_gil();
      break;
    case GilKind::in_runtime:
      runtime.gil.state = field(layout.runtime.gil);
      break;
    case GilKind::in_interpreter:
      break;  // is_initialised follows the interpreter's pointer
  }
  runtime.layout = std::move(shared);
  return runtime;
}

/// The files of a process that hold an interpreter and are loaded.
std::vector<InterpreterFile> interpreter_files(const Process& process, std::span<const MappedFile> candidates,
                                               std::vector<LocateStep>* steps) {
  std::vector<InterpreterFile> holders;
  if (candidates.size() > most_files) {
    tell(steps, false,
         fmt::format("of {} files with a Python's name only the {} likeliest are looked at",
                     candidates.size(), most_files));
    candidates = candidates.first(most_files);
  }
  for (const auto& candidate : candidates) {
    const auto path = shown(candidate.first);
    auto file = open_elf(process, candidate.first);
    if (!file) {
      tell(steps, false, fmt::format("{} {}", path, file.error()));
      continue;
    }
    const auto holding = holding_of(file->elf);
    auto biases = holding == Holding::interpreter ? file->elf.load_biases(candidate.parts)
                                                  : std::vector<std::uint64_t>{};
    if (holding == Holding::interpreter && biases.empty()) {
      tell(steps, false, path + " is mapped as data, not as its headers say");
      continue;
    }
    const auto* const has = holding == Holding::none   ? "no PyCode_Type"
                            : holding == Holding::copy ? "a copy of its library's PyCode_Type"
                                                       : "PyCode_Type";
    tell(steps, holding == Holding::interpreter,
         fmt::format("{}, opened {}, has {}", path, file->is_by_name ? "by name" : "as mapped", has));
    if (holding != Holding::interpreter) continue;
    holders.push_back(interpreter_file(candidate.first.path, std::move(file->elf), std::move(biases)));
  }
  return holders;
}

/// Finds the runtimes in the files that hold interpreters.
class RuntimeSearch {
 public:
  RuntimeSearch(std::span<const InterpreterFile> files, RemoteMemory& memory, const LayoutCatalog& catalog,
                std::vector<LocateStep>* steps)
      : memory_{memory}, catalog_{catalog}, steps_{steps} {
    for (const auto& file : files) {
      for (const auto bias : file.biases) {
        if (images_.size() >= most_images) return;
        images_.push_back({&file, InterpreterImage{file, bias, memory}});
      }
    }
  }

  [[nodiscard]] LocatedRuntimes run() {
    for (const auto& loaded : images_) {
      try {
        look_at(loaded);
      } catch (const Error& error) {
        if (!located_.error) located_.error = error;
        tell(steps_, false, error.what());
      }
    }
    return std::move(located_);
  }

 private:
  struct Loaded {
    const InterpreterFile* file = nullptr;
    InterpreterImage image;
  };

  void look_at(const Loaded& loaded) {
    const auto& [file, image] = loaded;
    located_.is_settled = located_.is_settled && image.is_linked();
    if (const auto* const other = user_of(loaded)) {
      tell(steps_, false,
           fmt::format("{} is linked to the Python in {}, and runs none", file->path, other->path));
      return;
    }
    const auto table = image.own_runtime();
    const auto detected = version_of(*file, memory_, table);
    if (!detected) {
      throw Error{ErrorKind::unsupported_python,
                  fmt::format("cannot tell the Python version of {}", file->path),
                  "report it with the output of: file " + file->path};
    }
    const auto version = detected->version;
    tell(steps_, true, fmt::format("it is Python {}, by {}", to_string(version), detected->teller));
    auto layout = layout_of(catalog_, version, file->path, memory_, table);
    require_size(*layout, *file);
    log(LogLayer::cpython, LogLevel::info, fmt::format("Python {} in {}", to_string(version), file->path));
    auto runtime = runtime_in(image, std::move(layout));
    const auto& source = catalog_.find(version);
    tell(steps_, true,
         fmt::format("its layout: {}{}", source.origin(),
                     source.schema.empty() ? "" : ", and the offsets that it publishes"));
    const auto head = runtime.interpreters_head;
    tell(steps_, !head.is_null(), where_it_is(head, image));
    located_.candidates.push_back({std::move(runtime), file->path});
  }

  [[nodiscard]] static std::string where_it_is(RemoteAddress head, const InterpreterImage& image) {
    if (head.is_null()) return "where its list of interpreters is cannot be told";
    return fmt::format("its list of interpreters is at {:#x}{}", head.value,
                       image.range().contains(head) ? "" : ", in the program's copy of it");
  }

  /// The other interpreter's file whose objects this image's code uses instead of its own.
  [[nodiscard]] const InterpreterFile* user_of(const Loaded& loaded) const {
    for (const auto used : {loaded.image.code_type(), loaded.image.runtime()}) {
      if (loaded.image.range().contains(used)) continue;
      const auto other = std::find_if(images_.begin(), images_.end(),
                                      [&](const Loaded& each) { return each.image.range().contains(used); });
      if (other != images_.end()) return other->file;
    }
    return nullptr;
  }

  RemoteMemory& memory_;
  const LayoutCatalog& catalog_;
  std::vector<LocateStep>* steps_;
  std::vector<Loaded> images_;
  LocatedRuntimes located_;
};

/// The program is a 32-bit ELF file.
bool is_32_bit(const Process& process) {
  const auto head = read_start(process.proc_path("exe"), EI_CLASS + 1);
  return head && head->size() > EI_CLASS && head->starts_with(ELFMAG) && (*head)[EI_CLASS] == ELFCLASS32;
}

/// What is wrong with a file that is an interpreter by its name or its content; nothing where it is none.
std::optional<Error> what_is_wrong(const Process& process, const MappedFile& mapped) {
  const auto pid = number(process.pid());
  const auto& mapping = mapped.first;
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
  const auto file = open_elf(process, mapping);
  const bool is_one = file && holding_of(file->elf) == Holding::none &&
                      file->elf.section(".PyRuntime") != nullptr &&
                      !file->elf.load_biases(mapped.parts).empty();
  if (is_one) {
    return Error{
        ErrorKind::unsupported_python,
        fmt::format("process {} has a Python in {} whose names were all stripped", pid, mapping.path),
        "link that program with -rdynamic, or keep its symbols"};
  }
  return std::nullopt;
}

/// Why no file of a process holds an interpreter that we can find.
Error not_python(const Process& process, const PythonFiles& files) {
  const auto stat = read_stat(std::to_string(number(process.pid())));
  const auto who = fmt::format("process {} ({})", number(process.pid()), stat ? stat->name : "?");
  if (is_32_bit(process)) {
    return Error{ErrorKind::not_python, who + " is a 32-bit program",
                 "sampler reads 64-bit (x86-64) Pythons only"};
  }
  if (!files.other.empty()) {
    return Error{ErrorKind::not_python, fmt::format("{} runs {}, not CPython", who, files.other),
                 "sampler reads CPython only: run the program with python3 to profile it"};
  }
  const auto looked_at = std::span{files.candidates}.first(std::min(most_files, files.candidates.size()));
  for (const auto& mapped : looked_at) {
    if (auto error = what_is_wrong(process, mapped)) return std::move(*error);
  }
  return Error{ErrorKind::not_python, who + " is not a Python",
               "give the number of a Python process; pgrep -a python lists them"};
}

/// Why the mappings of a process cannot be read.
Error unlisted(const Process& process, int code) {
  const bool is_forbidden = code == EACCES || code == EPERM;
  return Error{is_forbidden ? ErrorKind::permission : ErrorKind::not_python,
               fmt::format("cannot read /proc/{}/maps: {}", number(process.pid()), errno_text(code)),
               is_forbidden ? "run as root" : "it may have ended"};
}

}  // namespace

bool may_be_interpreter(const FileMapping& mapping) {
  return mapping.executable && is_python_name(mapping.path);
}

std::optional<std::uint32_t> find_tid_offset(const Process& process) {
  const auto link = read_link(process.proc_path("exe"));
  std::vector<FileMapping> glibcs;
  const auto look = visit_mappings(process.pid(), [&](const FileMapping& mapping) {
    if (mapping.file_offset == 0 && may_be_glibc(mapping, link ? *link : std::string{}))
      glibcs.push_back(mapping);
    return true;
  });
  return look ? tid_offset_in(process, glibcs) : std::nullopt;
}

std::vector<Pid> python_descendants(Pid parent) {
  auto found = descendants(parent);
  std::erase_if(found, [](Pid pid) {
    bool is_python = false;
    const auto look = visit_mappings(pid, [&](const FileMapping& mapping) {
      is_python = is_python_name(mapping.path);
      return !is_python;
    });
    return !look || !is_python;
  });
  return found;
}

LocatedRuntimes locate_runtimes(const Process& process, RemoteMemory& memory, const LayoutCatalog& catalog,
                                std::vector<LocateStep>* steps) {
  LocatedRuntimes located;
  const auto files = python_files(process);
  if (!files) {
    located.error = unlisted(process, files.error());
    tell(steps, false, located.error->what());
    return located;
  }
  const auto holders = interpreter_files(process, files->candidates, steps);
  located = RuntimeSearch{holders, memory, catalog, steps}.run();
  located.texts = files->texts;
  if (!located.candidates.empty()) located.tid_offset = tid_offset_in(process, files->glibcs);
  if (located.candidates.empty() && !located.error) located.error = not_python(process, *files);
  return located;
}

bool has_python_program(const Process& process) {
  const auto exe = read_link(process.proc_path("exe"));
  return exe && is_python_name(*exe);
}

}  // namespace sampler
