#include "sampler/cpython/code_cache.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "sampler/cpython/line_table.h"

namespace sampler {
namespace {

/// The instruction as line_at wants it: bytes or code units from the start of the code, negative before the
/// first.
std::int64_t instruction_index(InstructionPointer kind, std::uint64_t instruction, RemoteAddress bytecode) {
  constexpr std::int64_t unit_bytes = 2;
  if (kind == InstructionPointer::pointer) {
    return static_cast<std::int64_t>(instruction - bytecode.value) / unit_bytes;
  }
  return static_cast<std::int32_t>(instruction);
}

template <class T>
T field_at(std::span<const std::byte> object, Field<T> field) {
  T value{};
  if (field.exists() && field.offset + sizeof(T) <= object.size()) {
    std::memcpy(&value, object.data() + field.offset, sizeof(T));
  }
  return value;
}

/// Whether the line table in the target, of as many bytes as a copy, has the same ends.
bool has_ends_of(RemoteMemory& memory, RemoteAddress data, std::span<const std::byte> copy) {
  constexpr std::size_t end_size = 1024;
  std::array<std::byte, end_size> end;
  const auto size = std::min(end_size, copy.size());
  const auto is_same = [&](std::size_t from) {
    const auto bytes = std::span{end}.first(size);
    const auto expected = copy.subspan(from, size);
    return memory.read(data + from, bytes) && std::equal(bytes.begin(), bytes.end(), expected.begin());
  };
  return is_same(0) && is_same(copy.size() - size);
}

}  // namespace

bool CodeObject::contains(std::uint64_t instruction) const noexcept {
  if (copy_.bytecode.is_null()) return true;
  // One before the first is a frame that has not started.
  const auto index = instruction_index(InstructionPointer::pointer, instruction, copy_.bytecode);
  return index >= -1 && index < copy_.unit_count;
}

FrameId CodeObject::frame_at(std::uint64_t instruction, const Layout& layout, StackTable& stacks) {
  const auto [entry, is_new] = frames_.try_emplace(instruction);
  if (!is_new) return entry->second;
  if (!texts_) texts_ = {stacks.intern(decode_string(copy_.name)), stacks.intern(decode_string(copy_.file))};
  const auto index = instruction_index(layout.traits.instruction, instruction, copy_.bytecode);
  const auto& table = copy_.line_table.bytes;
  const auto line = table ? line_at(layout.traits.line_table, *table, copy_.first_line, index)
                          : static_cast<std::uint32_t>(std::max(copy_.first_line, 0));
  entry->second = stacks.intern(Frame{FrameKind::python, texts_->first, texts_->second, line.value_or(0)});
  return entry->second;
}

void CodeCache::begin_tick() {
  const bool are_too_many = codes_.size() > most_codes;
  if (are_too_many || !retired_.empty()) ++generation_;
  retired_.clear();
  if (!are_too_many) return;
  was_replaced_ = was_replaced_ || !owed_.empty();
  owed_.clear();
  codes_.clear();
}

void CodeCache::note_replaced(CodeObject& code) {
  was_replaced_ = std::erase(owed_, &code) > 0 || was_replaced_;
  code.survived_ = 0;
}

void CodeCache::retire(std::unique_ptr<CodeObject> code) {
  note_replaced(*code);
  code->checked_in_ = 0;
  retired_.push_back(std::move(code));
}

void CodeCache::found_same(CodeObject& code) const noexcept {
  code.checked_in_ = reading_;
  if (code.survived_in_ == period_) return;
  code.survived_in_ = period_;
  ++code.survived_;
}

bool CodeCache::owe(CodeObject& code) {
  constexpr std::uint32_t lasting = 3;
  // Only a version tells a code object from another that came and went between two looks.
  const bool is_told = may_all_wait_ || code.identity_.version != 0;
  if (!is_told || code.survived_ < lasting) return false;
  code.checked_in_ = reading_;
  if (code.owed_in_ == period_) return true;
  code.owed_in_ = period_;
  owed_.push_back(&code);
  return true;
}

CodeObject* CodeCache::find_known(RemoteAddress address) {
  const auto known = codes_.find(address.value);
  const bool is_known = known != codes_.end() && known->second &&
                        (known->second->checked_in_ == reading_ || owe(*known->second));
  return is_known ? known->second.get() : nullptr;
}

CodeObject* CodeCache::find_lasting(RemoteMemory& memory, RemoteAddress address) {
  auto* const known = find_known(address);
  return known != nullptr ? known : find(memory, address);
}

bool CodeCache::confirm(RemoteMemory& memory) {
  begin_reading();
  ++period_;
  bool are_same = true;
  const auto owed = owed_;  // which those that were replaced leave
  for (auto* const code : owed) are_same = find(memory, code->address_) == code && are_same;
  owed_.clear();
  return !std::exchange(was_replaced_, false) && are_same;
}

std::optional<LineTableCopy> CodeCache::copy_line_table(RemoteMemory& memory, RemoteAddress table,
                                                        const CodeObject* known) {
  // What has more than this is no line table.
  constexpr std::int64_t most_of_all = std::int64_t{1} << 30U;
  const auto& layout = *runtime_.layout;
  const auto size = read_as<std::int64_t>(memory, table + layout.object.var_size.offset);
  if (!size || *size < 0 || *size > most_of_all) return std::nullopt;
  const auto length = static_cast<std::size_t>(*size);
  if (length > most_line_table_bytes) return LineTableCopy{};
  const auto data = table + layout.bytes.data.offset;
  const auto* const before = known != nullptr ? known->copy_.line_table.bytes.get() : nullptr;
  if (length > large_line_table && before != nullptr && before->size() == length &&
      has_ends_of(memory, data, *before)) {
    return known->copy_.line_table;
  }
  std::vector<std::byte> bytes(length);
  if (length > 0 && !memory.read(data, bytes)) return std::nullopt;
  copied_ += length;
  return LineTableCopy{std::make_shared<const std::vector<std::byte>>(std::move(bytes))};
}

CodeObject* CodeCache::find(RemoteMemory& memory, RemoteAddress address) {
  auto& known = codes_[address.value];
  if (known && known->checked_in_ == reading_) return known.get();
  if (copied_ > most_bytes_per_reading) return nullptr;

  const auto& layout = *runtime_.layout;
  std::array<std::byte, most_struct_bytes> buffer;
  if (layout.code.size > buffer.size()) return nullptr;
  const auto object = std::span{buffer}.first(layout.code.size);
  if (!memory.read(address, object)) return nullptr;
  if (field_at(object, layout.object.type) != runtime_.code_type) return nullptr;

  CodeObject::Identity identity;
  identity.file = field_at(object, layout.code.filename);
  identity.name = field_at(object, layout.code.qualname.exists() ? layout.code.qualname : layout.code.name);
  identity.line_table = field_at(object, layout.code.line_table);
  identity.first_line = field_at(object, layout.code.first_line);
  identity.version = field_at(object, layout.code.version);
  identity.epoch = epoch_;
  const auto thread_bytecode = field_at(object, layout.code.thread_bytecode);
  if (known && identity.version != 0 && identity == known->identity_) {
    known->thread_bytecode_ = thread_bytecode;
    found_same(*known);
    return known.get();
  }

  auto file = copy_string(memory, layout, identity.file);
  auto name = copy_string(memory, layout, identity.name);
  const bool may_be_known = known && identity.may_be(known->identity_);
  auto table = copy_line_table(memory, identity.line_table, may_be_known ? known.get() : nullptr);
  if (!file || !name || !table) return nullptr;
  copied_ += file->data.size() + name->data.size();
  CodeCopy copy{std::move(*file), std::move(*name), std::move(*table), identity.first_line, {}, 0, 0, 0};
  if (layout.code.bytecode.exists()) {
    copy.bytecode = address + layout.code.bytecode.offset;
    copy.unit_count = field_at(object, layout.code.unit_count);
    copy.flags = field_at(object, layout.code.flags);
    copy.frame_words = static_cast<std::uint64_t>(std::max(field_at(object, layout.code.local_count), 0)) +
                       static_cast<std::uint64_t>(std::max(field_at(object, layout.code.stack_size), 0));
  }
  const bool looks_same = known && copy == known->copy_;
  // Between the two there may have been a third.
  if (looks_same && !may_be_known) note_replaced(*known);
  if (!looks_same) {
    if (known) retire(std::move(known));
    known = std::make_unique<CodeObject>();
    known->address_ = address;
    known->copy_ = std::move(copy);
  }
  // _Py_InitCleanup: a static object whose file and name are one and the same string.
  known->is_internal_ = identity.file == identity.name && runtime_.image.contains(address);
  known->thread_bytecode_ = thread_bytecode;
  known->identity_ = identity;
  found_same(*known);
  return known.get();
}

}  // namespace sampler
