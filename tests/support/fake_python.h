#pragma once

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <map>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "catch.h"
#include "fake_table.h"
#include "sampler/cpython/layout_catalog.h"
#include "sampler/cpython/python_runtime.h"
#include "sampler/memory/remote_memory.h"

namespace sampler {

/// Memory that is made of separate pieces; between them nothing can be read.
class FakeMemory final : public RemoteMemory {
 public:
  Result<void, ReadError> read(RemoteAddress from, std::span<std::byte> into) noexcept override {
    ++reads;
    const auto bytes = find(from, into.size());
    if (bytes.size() != into.size()) {
      return Failure{ReadError{from, static_cast<std::uint32_t>(into.size()), EFAULT}};
    }
    std::memcpy(into.data(), bytes.data(), bytes.size());
    return {};
  }

  /// A new piece, all zero.
  RemoteAddress add(std::size_t size) {
    const RemoteAddress address{next_};
    pieces_.emplace(next_, std::vector<std::byte>(size));
    next_ += (size + 4095) / 16 * 16;
    return address;
  }
  template <class T>
  void put(RemoteAddress at, const T& value) {
    const auto bytes = find(at, sizeof(T));
    REQUIRE(bytes.size() == sizeof(T));
    std::memcpy(bytes.data(), &value, sizeof(T));
  }
  void put_bytes(RemoteAddress at, std::span<const std::byte> from) {
    const auto bytes = find(at, from.size());
    REQUIRE(bytes.size() == from.size());
    if (!from.empty()) std::memcpy(bytes.data(), from.data(), from.size());
  }
  /// Nobody can read the piece at an address any more.
  void remove(RemoteAddress piece) { REQUIRE(pieces_.erase(piece.value) == 1); }

  const std::byte* peek(RemoteAddress from, std::size_t size) noexcept override {
    const auto bytes = find(from, size);
    return bytes.size() == size ? bytes.data() : nullptr;
  }

  /// As an overlay's fetch(): what is there now is what the sample before had, for count_unchanged().
  void end_sample() { before_ = pieces_; }
  std::size_t count_unchanged(RemoteAddress from, std::size_t size) noexcept override {
    const auto now = find(from, size);
    const auto before = find_in(before_, from, size);
    if (now.size() != size || before.size() != size) return 0;
    return static_cast<std::size_t>(std::mismatch(now.begin(), now.end(), before.begin()).first -
                                    now.begin());
  }

  int reads = 0;

 private:
  using Pieces = std::map<std::uint64_t, std::vector<std::byte>>;

  std::span<std::byte> find(RemoteAddress from, std::size_t size) noexcept {
    return find_in(pieces_, from, size);
  }
  static std::span<std::byte> find_in(Pieces& pieces, RemoteAddress from, std::size_t size) noexcept {
    auto piece = pieces.upper_bound(from.value);
    if (piece == pieces.begin()) return {};
    --piece;
    const auto offset = from.value - piece->first;
    auto& bytes = piece->second;
    if (offset > bytes.size() || size > bytes.size() - offset) return {};
    return std::span{bytes}.subspan(offset, size);
  }

  Pieces pieces_;
  Pieces before_;  // as of the sample before
  std::uint64_t next_ = 0x7f00'0000'1000;
};

/// The layout of a supported version; it lives as long as the test program.
inline const Layout& layout_of(PythonVersion version) {
  static const LayoutCatalog catalog;
  static std::map<PythonVersion, Layout> completed;
  const auto& source = catalog.find(version);
  if (source.schema.empty()) return source.layout;
  if (const auto known = completed.find(version); known != completed.end()) return known->second;
  const FakeTable table{catalog.schema_of(source), version};
  const auto layout = complete_layout(source, table.offsets());
  if (!layout) FAIL(layout.error());
  return completed.emplace(version, *layout).first->second;
}

/// As a runtime wants it; the layout must live longer.
inline std::shared_ptr<const Layout> not_owned(const Layout& layout) {
  return {std::shared_ptr<const Layout>{}, &layout};
}

/// What a test says of a code object.
struct CodeFacts {
  std::string_view name = "work";
  std::string_view file = "/srv/app.py";
  std::int32_t first_line = 10;
  std::vector<int> line_table{};
  std::int64_t units = 100;
  std::uint32_t version = 0;
  std::int32_t locals = 0;      ///< words that its frames have for locals
  std::int32_t stack_size = 0;  ///< and for the value stack
  std::int32_t flags = 0;       ///< co_flags
};

/// A little CPython of one version, built object by object.
class FakePython {
 public:
  explicit FakePython(PythonVersion version) : layout{layout_of(version)} {
    runtime.layout = not_owned(layout);
    runtime.code_type = memory.add(400);
    runtime.interpreters_head = memory.add(8);
    const auto type_of_types = memory.add(400);
    memory.put(type_of_types + layout.object.type.offset, type_of_types);
    memory.put(runtime.code_type + layout.object.type.offset, type_of_types);
    set_type_flags(1U << 12U);  // Py_TPFLAGS_READY
  }

  /// tp_flags of the code objects' type.
  void set_type_flags(std::uint64_t flags) {
    constexpr std::uint32_t behind_size = 19 * 8;
    memory.put(runtime.code_type + layout.object.var_size.offset + behind_size, flags);
  }

  RemoteAddress add_bytes(const std::vector<int>& values) {
    std::vector<std::byte> data;
    for (const int value : values) data.push_back(static_cast<std::byte>(value));
    return add_bytes_object(data);
  }
  /// An ASCII string as this version stores names.
  RemoteAddress add_text(std::string_view text) {
    const auto characters = std::as_bytes(std::span{text});
    if (layout.traits.strings == StringKind::byte_string) return add_bytes_object(characters);
    const auto& unicode = layout.unicode;
    const auto object = memory.add(unicode.ascii_data.offset + text.size() + 1);
    memory.put(object + unicode.length.offset, static_cast<std::int64_t>(text.size()));
    memory.put(object + unicode.state.offset,
               (1U << unicode.kind_shift) | (1U << unicode.compact_shift) | (1U << unicode.ascii_shift));
    memory.put_bytes(object + unicode.ascii_data.offset, characters);
    return object;
  }
  /// Writes other characters into a text of the same length.
  void overwrite_text(RemoteAddress object, std::string_view text) {
    const auto at = layout.traits.strings == StringKind::byte_string ? layout.bytes.data.offset
                                                                     : layout.unicode.ascii_data.offset;
    memory.put_bytes(object + at, std::as_bytes(std::span{text}));
  }

  RemoteAddress add_code(const CodeFacts& facts) {
    const auto& code = layout.code;
    const auto object = memory.add(code.size);
    memory.put(object + layout.object.type.offset, runtime.code_type);
    memory.put(object + code.filename.offset, add_text(facts.file));
    memory.put(object + name_field().offset, add_text(facts.name));
    memory.put(object + code.line_table.offset, add_bytes(facts.line_table));
    memory.put(object + code.first_line.offset, facts.first_line);
    if (code.unit_count.exists()) memory.put(object + code.unit_count.offset, facts.units);
    if (code.version.exists()) memory.put(object + code.version.offset, facts.version);
    if (code.local_count.exists()) memory.put(object + code.local_count.offset, facts.locals);
    if (code.flags.exists()) memory.put(object + code.flags.offset, facts.flags);
    if (code.stack_size.exists()) memory.put(object + code.stack_size.offset, facts.stack_size);
    return object;
  }
  [[nodiscard]] Field<RemoteAddress> name_field() const {
    return layout.code.qualname.exists() ? layout.code.qualname : layout.code.name;
  }
  /// What a frame of this code has as instruction when it is at a code unit (at a byte, before 3.10).
  [[nodiscard]] std::uint64_t instruction(RemoteAddress code, std::int32_t index) const {
    if (layout.traits.instruction != InstructionPointer::pointer) return static_cast<std::uint32_t>(index);
    return code.value + layout.code.bytecode.offset + static_cast<std::uint64_t>(std::int64_t{index} * 2);
  }

  RemoteAddress add_frame(RemoteAddress code, RemoteAddress previous, std::int32_t index = 0) {
    const auto object = memory.add(layout.frame.size);
    put_frame(object, code, previous, index);
    return object;
  }
  /// Makes what is at an address a frame.
  void put_frame(RemoteAddress object, RemoteAddress code, RemoteAddress previous, std::int32_t index) {
    const auto& frame = layout.frame;
    memory.put(object + frame.executable.offset, code);
    memory.put(object + frame.previous.offset, previous);
    const auto at = instruction(code, index);
    if (layout.traits.instruction == InstructionPointer::pointer) {
      memory.put(object + frame.instruction.offset, at);
    } else {
      memory.put(object + frame.instruction.offset, static_cast<std::uint32_t>(at));
    }
  }
  /// A frame that this version puts where C calls Python.
  RemoteAddress add_trampoline(RemoteAddress previous) {
    const auto object = memory.add(layout.frame.size);
    memory.put(object + layout.frame.previous.offset, previous);
    memory.put(object + layout.frame.owner.offset, layout.traits.first_trampoline_owner);
    return object;
  }
  /// What the outermost frame of a thread has below it.
  RemoteAddress add_root() {
    return layout.traits.first_trampoline_owner == 255 ? RemoteAddress{} : add_trampoline({});
  }
  void set_previous(RemoteAddress frame, RemoteAddress previous) {
    memory.put(frame + layout.frame.previous.offset, previous);
  }

  /// What an evaluation loop has on the C stack: its innermost frame, and the loop that called it.
  RemoteAddress add_cframe(RemoteAddress current_frame, RemoteAddress previous) {
    const auto object =
        memory.add(std::max(layout.cframe.current_frame.offset, layout.cframe.previous.offset) + 8);
    memory.put(object + layout.cframe.current_frame.offset, current_frame);
    memory.put(object + layout.cframe.previous.offset, previous);
    return object;
  }
  /// Copies of a code's bytecode for the threads: null where a thread has none. The first is of the code's
  /// own.
  RemoteAddress add_copies(RemoteAddress code, const std::vector<RemoteAddress>& copies) {
    const auto entries = layout.code.thread_bytecode_entries.offset;
    const auto array = memory.add(entries + copies.size() * sizeof(RemoteAddress));
    memory.put(array, static_cast<std::int64_t>(copies.size()));
    for (std::size_t i = 0; i < copies.size(); ++i) {
      memory.put(array + (entries + i * sizeof(RemoteAddress)), copies[i]);
    }
    memory.put(code + layout.code.thread_bytecode.offset, array);
    return array;
  }

  /// A thread state that nobody's list holds.
  RemoteAddress add_thread(RemoteAddress innermost_frame, RemoteAddress interpreter = {}) {
    const auto thread = memory.add(layout.thread.size);
    memory.put(thread + layout.thread.interpreter.offset, interpreter);
    if (layout.traits.frame_chain == FrameChain::through_cframe) {
      memory.put(thread + layout.thread.cframe.offset, add_cframe({}, {}));
    }
    lead_to(thread, innermost_frame);
    return thread;
  }

  /// Makes a frame the innermost one of a thread.
  void lead_to(RemoteAddress thread, RemoteAddress frame) {
    switch (layout.traits.frame_chain) {
      case FrameChain::frame_objects:
        memory.put(thread + layout.thread.frame.offset, frame);
        break;
      case FrameChain::direct:
        memory.put(thread + layout.thread.current_frame.offset, frame);
        break;
      case FrameChain::through_cframe: {
        const auto cframe = read_as<RemoteAddress>(memory, thread + layout.thread.cframe.offset);
        REQUIRE(cframe);
        memory.put(*cframe + layout.cframe.current_frame.offset, frame);
        break;
      }
    }
  }

  /// An interpreter at the head of the list.
  RemoteAddress add_interpreter() {
    const auto object = memory.add(512);
    const auto old_head = read_as<RemoteAddress>(memory, runtime.interpreters_head);
    REQUIRE(old_head);
    memory.put(object + layout.interpreter.next.offset, *old_head);
    memory.put(runtime.interpreters_head, object);
    return object;
  }
  /// A thread state at the head of its interpreter's list.
  RemoteAddress add_listed_thread(RemoteAddress interpreter) {
    const auto thread = add_thread({}, interpreter);
    const auto head = interpreter + layout.interpreter.threads_head.offset;
    const auto old_head = read_as<RemoteAddress>(memory, head);
    REQUIRE(old_head);
    memory.put(thread + layout.thread.next.offset, *old_head);
    memory.put(head, thread);
    return thread;
  }

  const Layout& layout;
  FakeMemory memory;
  PythonRuntime runtime;

 private:
  RemoteAddress add_bytes_object(std::span<const std::byte> data) {
    const auto object = memory.add(layout.bytes.data.offset + data.size() + 1);
    memory.put(object + layout.object.var_size.offset, static_cast<std::int64_t>(data.size()));
    memory.put_bytes(object + layout.bytes.data.offset, data);
    return object;
  }
};

}  // namespace sampler
