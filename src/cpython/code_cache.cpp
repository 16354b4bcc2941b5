#include "sampler/cpython/code_cache.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "sampler/cpython/line_table.h"

namespace sampler {
namespace {

// A function of 3,000 lines has some 20 KB; beyond this it is not a line table.
constexpr std::size_t most_line_table_bytes = 1U << 20U;

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
  const auto line = line_at(layout.traits.line_table, copy_.line_table, copy_.first_line, index);
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
  auto table = copy_bytes(memory, layout, identity.line_table, most_line_table_bytes);
  if (!file || !name || !table) return nullptr;
  copied_ += file->data.size() + name->data.size() + table->size();
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
  if (looks_same && !identity.may_be(known->identity_)) note_replaced(*known);
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
