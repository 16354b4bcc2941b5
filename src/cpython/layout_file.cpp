#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "sampler/base/error.h"
#include "sampler/cpython/layout_source.h"

namespace sampler {
namespace {

/// The runtime and interpreter states are large; everything else stays below this, frames and code objects
/// far below (most_struct_bytes).
constexpr std::uint32_t largest_struct = 64 * 1024;
constexpr std::uint32_t largest_state = 16 * 1024 * 1024;
/// The kind of a string is 3 bits wide, in a word of 32.
constexpr std::uint32_t largest_shift = 29;
/// Objects are aligned to 16 bytes.
constexpr std::uint64_t largest_tag_mask = 15;

/// One `key value` line.
struct Entry {
  std::size_t line = 0;
  std::string_view key, value;
};

/// The lines of one file, and where its mistakes are.
struct LayoutText {
  std::string_view name;
  std::vector<Entry> entries;
  std::size_t last_line = 0;
};

[[noreturn]] void fail(const LayoutText& text, std::size_t line, const std::string& what) {
  throw Error{ErrorKind::usage, fmt::format("{}:{}: {}", text.name, line, what)};
}

[[nodiscard]] const Entry* find_entry(const LayoutText& text, std::string_view key) {
  const auto found =
      std::find_if(text.entries.begin(), text.entries.end(), [&](const Entry& e) { return e.key == key; });
  return found == text.entries.end() ? nullptr : &*found;
}

[[nodiscard]] const Entry& required_entry(const LayoutText& text, std::string_view key) {
  const Entry* const entry = find_entry(text, key);
  if (entry == nullptr) fail(text, text.last_line, fmt::format("the key '{}' is missing", key));
  return *entry;
}

/// The words of a line, or none where it is a comment.
[[nodiscard]] std::vector<std::string_view> words_of(std::string_view line) {
  constexpr std::string_view blanks = " \t";
  std::vector<std::string_view> words;
  for (auto at = line.find_first_not_of(blanks); at != std::string_view::npos;) {
    const auto end = std::min(line.find_first_of(blanks, at), line.size());
    words.push_back(line.substr(at, end - at));
    at = line.find_first_not_of(blanks, end);
  }
  if (!words.empty() && words.front().starts_with('#')) words.clear();
  return words;
}

void add_line(LayoutText& text, std::string_view line) {
  const auto words = words_of(line);
  if (words.empty()) return;
  if (words.size() != 2) fail(text, text.last_line, "a line is a key and a value");
  if (const Entry* const first = find_entry(text, words[0])) {
    fail(text, text.last_line, fmt::format("the key '{}' is already in line {}", words[0], first->line));
  }
  text.entries.push_back({text.last_line, words[0], words[1]});
}

/// The lines up to the first that has the key `last`.
[[nodiscard]] LayoutText split_lines(std::string_view name, std::string_view text,
                                     std::string_view last = {}) {
  LayoutText result{.name = name, .entries = {}, .last_line = 0};
  while (!text.empty() && (result.entries.empty() || result.entries.back().key != last)) {
    const auto end = std::min(text.find('\n'), text.size());
    ++result.last_line;
    add_line(result, text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return result;
}

/// All of `digits` as a decimal number.
template <class T>
[[nodiscard]] std::optional<T> parse_number(std::string_view digits) {
  T value{};
  const char* const end = digits.data() + digits.size();
  const auto result = std::from_chars(digits.data(), end, value);
  if (result.ec != std::errc{} || result.ptr != end) return std::nullopt;
  return value;
}

template <class T>
[[nodiscard]] T number_between(const LayoutText& text, const Entry& entry, T least, T most) {
  const auto value = parse_number<T>(entry.value);
  if (!value || *value < least || *value > most) {
    fail(text, entry.line,
         fmt::format("'{}' must be a number from {} to {}, not '{}'", entry.key, least, most, entry.value));
  }
  return *value;
}

// Traits: one row each.

template <class E>
using Word = std::pair<std::string_view, E>;

constexpr std::array frame_chain_words{
    Word<FrameChain>{"frame_objects", FrameChain::frame_objects},
    Word<FrameChain>{"through_cframe", FrameChain::through_cframe},
    Word<FrameChain>{"direct", FrameChain::direct},
};
constexpr std::array line_table_words{
    Word<LineTable>{"lnotab_unsigned", LineTable::lnotab_unsigned},
    Word<LineTable>{"lnotab_signed", LineTable::lnotab_signed},
    Word<LineTable>{"pep626", LineTable::pep626},
    Word<LineTable>{"pep657", LineTable::pep657},
};
constexpr std::array instruction_words{
    Word<InstructionPointer>{"byte_offset", InstructionPointer::byte_offset},
    Word<InstructionPointer>{"code_unit", InstructionPointer::code_unit},
    Word<InstructionPointer>{"pointer", InstructionPointer::pointer},
};
constexpr std::array string_words{
    Word<StringKind>{"byte_string", StringKind::byte_string},
    Word<StringKind>{"unicode", StringKind::unicode},
};
constexpr std::array gil_words{
    Word<GilKind>{"none", GilKind::none},
    Word<GilKind>{"current_thread", GilKind::current_thread},
    Word<GilKind>{"static_variables", GilKind::static_variables},
    Word<GilKind>{"in_runtime", GilKind::in_runtime},
    Word<GilKind>{"in_interpreter", GilKind::in_interpreter},
};

constexpr std::array state_thread_words{
    Word<StateThread>{"named", StateThread::named},
    Word<StateThread>{"by_cframe", StateThread::by_cframe},
    Word<StateThread>{"untold", StateThread::untold},
};

struct TraitKey {
  std::string_view name;
  void (*set)(const LayoutText&, const Entry&, LayoutTraits&);
};

template <auto Member, const auto& Words>
void set_word(const LayoutText& text, const Entry& entry, LayoutTraits& traits) {
  const auto found =
      std::find_if(Words.begin(), Words.end(), [&](const auto& word) { return word.first == entry.value; });
  if (found == Words.end()) {
    fail(text, entry.line, fmt::format("'{}' cannot be '{}'", entry.key, entry.value));
  }
  traits.*Member = found->second;
}

template <auto Member, std::uint64_t Most>
void set_number(const LayoutText& text, const Entry& entry, LayoutTraits& traits) {
  using T = std::remove_reference_t<decltype(traits.*Member)>;
  traits.*Member = static_cast<T>(number_between<std::uint64_t>(text, entry, 0, Most));
}

constexpr std::array trait_keys{
    TraitKey{"trait.frame_chain", set_word<&LayoutTraits::frame_chain, frame_chain_words>},
    TraitKey{"trait.line_table", set_word<&LayoutTraits::line_table, line_table_words>},
    TraitKey{"trait.instruction", set_word<&LayoutTraits::instruction, instruction_words>},
    TraitKey{"trait.strings", set_word<&LayoutTraits::strings, string_words>},
    TraitKey{"trait.gil", set_word<&LayoutTraits::gil, gil_words>},
    TraitKey{"trait.state_thread", set_word<&LayoutTraits::state_thread, state_thread_words>},
    TraitKey{"trait.first_trampoline_owner", set_number<&LayoutTraits::first_trampoline_owner, 255>},
    TraitKey{"trait.executable_tag_mask", set_number<&LayoutTraits::executable_tag_mask, largest_tag_mask>},
};

// Fields: one row each.

enum class Presence : std::uint8_t { required, optional, forbidden };

[[nodiscard]] constexpr Presence required_if(bool condition) {
  return condition ? Presence::required : Presence::forbidden;
}

[[nodiscard]] Presence always(const LayoutTraits&) {
  return Presence::required;
}
[[nodiscard]] Presence maybe(const LayoutTraits&) {
  return Presence::optional;
}
[[nodiscard]] Presence with_frame_objects(const LayoutTraits& traits) {
  return required_if(traits.frame_chain == FrameChain::frame_objects);
}
[[nodiscard]] Presence with_cframe_chain(const LayoutTraits& traits) {
  return required_if(traits.frame_chain == FrameChain::through_cframe);
}
[[nodiscard]] Presence with_cframe(const LayoutTraits& traits) {
  return required_if(traits.frame_chain == FrameChain::through_cframe ||
                     traits.state_thread == StateThread::by_cframe);
}
[[nodiscard]] Presence with_direct_frames(const LayoutTraits& traits) {
  return required_if(traits.frame_chain == FrameChain::direct);
}
[[nodiscard]] Presence with_interpreter_frames(const LayoutTraits& traits) {
  return required_if(traits.frame_chain != FrameChain::frame_objects);
}
[[nodiscard]] Presence with_instruction_pointer(const LayoutTraits& traits) {
  return required_if(traits.instruction == InstructionPointer::pointer);
}
[[nodiscard]] Presence with_unicode(const LayoutTraits& traits) {
  return required_if(traits.strings == StringKind::unicode);
}
[[nodiscard]] Presence with_gil_in_runtime(const LayoutTraits& traits) {
  return required_if(traits.gil == GilKind::in_runtime);
}
[[nodiscard]] Presence with_gil_in_interpreter(const LayoutTraits& traits) {
  return required_if(traits.gil == GilKind::in_interpreter);
}
[[nodiscard]] Presence without_gil(const LayoutTraits& traits) {
  return required_if(traits.gil == GilKind::none);
}
[[nodiscard]] Presence with_gil_struct(const LayoutTraits& traits) {
  return required_if(traits.gil == GilKind::in_runtime || traits.gil == GilKind::in_interpreter);
}
/// The GIL became a struct when _PyRuntime appeared; before that, both are static variables.
[[nodiscard]] Presence with_runtime(const LayoutTraits& traits) {
  return required_if(traits.gil != GilKind::current_thread && traits.gil != GilKind::static_variables);
}
[[nodiscard]] Presence maybe_with_runtime(const LayoutTraits& traits) {
  return with_runtime(traits) == Presence::required ? Presence::optional : Presence::forbidden;
}

struct FieldKey {
  std::string_view name;
  Presence (*presence)(const LayoutTraits&);
  std::uint32_t& (*slot)(Layout&);
  std::uint32_t least, most;
  /// Bytes of the field, and of its struct; null where there is nothing to check.
  std::uint32_t (*width)(const LayoutTraits&);
  std::uint32_t (*struct_size)(const Layout&);
};

template <class T>
[[nodiscard]] constexpr std::uint32_t width_of(Field<T>) {
  return sizeof(T);
}

template <auto Member>
[[nodiscard]] std::uint32_t own_width(const LayoutTraits&) {
  return decltype([]<class S, class F>(F S::*) {
    return std::integral_constant<std::uint32_t, width_of(F{})>{};
  }(Member))::value;
}

[[nodiscard]] std::uint32_t instruction_width(const LayoutTraits& traits) {
  return traits.instruction == InstructionPointer::pointer ? 8 : 4;
}

template <auto Group>
using GroupOf = std::remove_cvref_t<decltype(std::declval<Layout&>().*Group)>;

template <auto Group>
[[nodiscard]] constexpr std::uint32_t largest_offset() {
  using T = GroupOf<Group>;
  if (std::is_same_v<T, RuntimeLayout> || std::is_same_v<T, InterpreterLayout>) return largest_state;
  if (std::is_same_v<T, FrameLayout> || std::is_same_v<T, CodeLayout>) return most_struct_bytes;
  return largest_struct;
}

template <auto Group>
[[nodiscard]] constexpr auto size_of_group() -> std::uint32_t (*)(const Layout&) {
  if constexpr (requires(GroupOf<Group> group) { group.size; }) {
    return [](const Layout& layout) { return (layout.*Group).size; };
  } else {
    return nullptr;
  }
}

template <auto Group, auto Member>
[[nodiscard]] constexpr FieldKey offset(std::string_view name, Presence (*presence)(const LayoutTraits&)) {
  return {.name = name,
          .presence = presence,
          .slot = [](Layout& layout) -> std::uint32_t& { return (layout.*Group.*Member).offset; },
          .least = 0,
          .most = largest_offset<Group>(),
          .width = own_width<Member>,
          .struct_size = size_of_group<Group>()};
}

[[nodiscard]] constexpr FieldKey with_width(FieldKey key, std::uint32_t (*width)(const LayoutTraits&)) {
  key.width = width;
  return key;
}

template <auto Group, auto Member>
[[nodiscard]] constexpr FieldKey number(std::string_view name, Presence (*presence)(const LayoutTraits&),
                                        std::uint32_t least, std::uint32_t most) {
  return {.name = name,
          .presence = presence,
          .slot = [](Layout& layout) -> std::uint32_t& { return layout.*Group.*Member; },
          .least = least,
          .most = most,
          .width = nullptr,
          .struct_size = nullptr};
}

template <auto Group>
[[nodiscard]] constexpr FieldKey size(std::string_view name, Presence (*presence)(const LayoutTraits&)) {
  return number<Group, &GroupOf<Group>::size>(name, presence, 1, largest_offset<Group>());
}

template <auto Member>
[[nodiscard]] constexpr FieldKey shift(std::string_view name) {
  return number<&Layout::unicode, Member>(name, with_unicode, 0, largest_shift);
}

constexpr std::array field_keys{
    size<&Layout::runtime>("runtime.size", maybe_with_runtime),
    offset<&Layout::runtime, &RuntimeLayout::interpreters_head>("runtime.interpreters_head", with_runtime),
    offset<&Layout::runtime, &RuntimeLayout::gil>("runtime.gil", with_gil_in_runtime),
    offset<&Layout::runtime, &RuntimeLayout::finalizing>("runtime.finalizing", with_runtime),
    offset<&Layout::interpreter, &InterpreterLayout::next>("interpreter.next", always),
    offset<&Layout::interpreter, &InterpreterLayout::threads_head>("interpreter.threads_head", always),
    offset<&Layout::interpreter, &InterpreterLayout::id>("interpreter.id", with_runtime),
    offset<&Layout::interpreter, &InterpreterLayout::gil>("interpreter.gil", with_gil_in_interpreter),
    size<&Layout::gil>("gil.size", with_gil_struct),
    offset<&Layout::gil, &GilLayout::last_holder>("gil.last_holder", with_gil_struct),
    offset<&Layout::gil, &GilLayout::locked>("gil.locked", with_gil_struct),
    offset<&Layout::gil, &GilLayout::switch_number>("gil.switch_number", with_gil_struct),
    offset<&Layout::gil, &GilLayout::cond>("gil.cond", with_gil_struct),
    offset<&Layout::gil, &GilLayout::switch_cond>("gil.switch_cond", with_gil_struct),
    size<&Layout::thread>("thread.size", always),
    offset<&Layout::thread, &ThreadLayout::next>("thread.next", always),
    offset<&Layout::thread, &ThreadLayout::interpreter>("thread.interpreter", always),
    offset<&Layout::thread, &ThreadLayout::frame>("thread.frame", with_frame_objects),
    offset<&Layout::thread, &ThreadLayout::cframe>("thread.cframe", with_cframe),
    offset<&Layout::thread, &ThreadLayout::current_frame>("thread.current_frame", with_direct_frames),
    offset<&Layout::thread, &ThreadLayout::thread_id>("thread.thread_id", always),
    offset<&Layout::thread, &ThreadLayout::native_thread_id>("thread.native_thread_id", maybe),
    offset<&Layout::thread, &ThreadLayout::data_stack_top>("thread.data_stack_top", maybe),
    offset<&Layout::thread, &ThreadLayout::data_stack_chunk>("thread.data_stack_chunk", maybe),
    offset<&Layout::thread, &ThreadLayout::attachment>("thread.attachment", without_gil),
    offset<&Layout::cframe, &CFrameLayout::current_frame>("cframe.current_frame", with_cframe_chain),
    offset<&Layout::cframe, &CFrameLayout::previous>("cframe.previous", with_cframe_chain),
    size<&Layout::frame>("frame.size", always),
    offset<&Layout::frame, &FrameLayout::previous>("frame.previous", always),
    offset<&Layout::frame, &FrameLayout::executable>("frame.executable", always),
    with_width(offset<&Layout::frame, &FrameLayout::instruction>("frame.instruction", always),
               instruction_width),
    offset<&Layout::frame, &FrameLayout::owner>("frame.owner", with_interpreter_frames),
    offset<&Layout::frame, &FrameLayout::bytecode_index>("frame.bytecode_index", maybe),
    offset<&Layout::frame, &FrameLayout::function>("frame.function", maybe),
    offset<&Layout::frame, &FrameLayout::stack_top>("frame.stack_top", maybe),
    offset<&Layout::frame, &FrameLayout::stack_pointer>("frame.stack_pointer", maybe),
    offset<&Layout::frame, &FrameLayout::return_offset>("frame.return_offset", maybe),
    offset<&Layout::frame, &FrameLayout::is_entry>("frame.is_entry", maybe),
    offset<&Layout::frame, &FrameLayout::locals>("frame.locals", maybe),
    offset<&Layout::frame, &FrameLayout::references>("frame.references", maybe),
    offset<&Layout::frame, &FrameLayout::state>("frame.state", maybe),
    number<&Layout::frame, &FrameLayout::running_state>("frame.running_state", maybe, 0, 127),
    size<&Layout::code>("code.size", always),
    offset<&Layout::code, &CodeLayout::filename>("code.filename", always),
    offset<&Layout::code, &CodeLayout::name>("code.name", always),
    offset<&Layout::code, &CodeLayout::qualname>("code.qualname", maybe),
    offset<&Layout::code, &CodeLayout::line_table>("code.line_table", always),
    offset<&Layout::code, &CodeLayout::first_line>("code.first_line", always),
    offset<&Layout::code, &CodeLayout::bytecode>("code.bytecode", with_instruction_pointer),
    offset<&Layout::code, &CodeLayout::unit_count>("code.unit_count", with_instruction_pointer),
    offset<&Layout::code, &CodeLayout::local_count>("code.local_count", maybe),
    offset<&Layout::code, &CodeLayout::stack_size>("code.stack_size", maybe),
    offset<&Layout::code, &CodeLayout::flags>("code.flags", maybe),
    offset<&Layout::code, &CodeLayout::version>("code.version", maybe),
    offset<&Layout::code, &CodeLayout::thread_bytecode>("code.thread_bytecode", maybe),
    offset<&Layout::code, &CodeLayout::thread_bytecode_entries>("code.thread_bytecode_entries", maybe),
    offset<&Layout::object, &ObjectLayout::type>("object.type", always),
    offset<&Layout::object, &ObjectLayout::var_size>("object.var_size", always),
    offset<&Layout::bytes, &BytesLayout::data>("bytes.data", always),
    offset<&Layout::unicode, &UnicodeLayout::length>("unicode.length", with_unicode),
    offset<&Layout::unicode, &UnicodeLayout::state>("unicode.state", with_unicode),
    offset<&Layout::unicode, &UnicodeLayout::ascii_data>("unicode.ascii_data", with_unicode),
    offset<&Layout::unicode, &UnicodeLayout::compact_data>("unicode.compact_data", with_unicode),
    offset<&Layout::unicode, &UnicodeLayout::legacy_data>("unicode.legacy_data", with_unicode),
    shift<&UnicodeLayout::kind_shift>("unicode.kind_shift"),
    shift<&UnicodeLayout::compact_shift>("unicode.compact_shift"),
    shift<&UnicodeLayout::ascii_shift>("unicode.ascii_shift"),
};

// The file as a whole.

template <class Keys>
[[nodiscard]] bool is_one_of(const Keys& keys, std::string_view name) {
  return std::any_of(keys.begin(), keys.end(), [&](const auto& key) { return key.name == name; });
}

void refuse_unknown_keys(const LayoutText& text) {
  constexpr std::array<std::string_view, 3> heads{"python", "source", "schema"};
  for (const Entry& entry : text.entries) {
    if (std::find(heads.begin(), heads.end(), entry.key) != heads.end()) continue;
    if (is_one_of(trait_keys, entry.key) || is_one_of(field_keys, entry.key)) continue;
    fail(text, entry.line, fmt::format("the key '{}' is unknown", entry.key));
  }
}

[[nodiscard]] PythonVersion parse_version(const LayoutText& text) {
  const Entry& entry = required_entry(text, "python");
  const bool free_threaded = entry.value.ends_with('t');
  const auto digits = entry.value.substr(0, entry.value.size() - (free_threaded ? 1 : 0));
  const auto dot = std::min(digits.find('.'), digits.size());
  const auto major = parse_number<int>(digits.substr(0, dot));
  const auto minor = parse_number<int>(digits.substr(std::min(dot + 1, digits.size())));
  if (!major || !minor || *major < 0 || *minor < 0) {
    fail(text, entry.line,
         fmt::format("'python' must be a version like 3.12 or 3.13t, not '{}'", entry.value));
  }
  return {*major, *minor, free_threaded};
}

/// The name of the schema of the target's own table; empty where the file itself has every offset.
[[nodiscard]] std::string parse_schema_name(const LayoutText& text) {
  const Entry& source = required_entry(text, "source");
  const Entry* const schema = find_entry(text, "schema");
  if (source.value == "debug_offsets") return std::string{required_entry(text, "schema").value};
  if (source.value != "static") {
    fail(text, source.line,
         fmt::format("'source' can be 'static' or 'debug_offsets', not '{}'", source.value));
  }
  if (schema != nullptr) fail(text, schema->line, "only the source 'debug_offsets' has a schema");
  return {};
}

[[nodiscard]] LayoutTraits parse_traits(const LayoutText& text) {
  LayoutTraits traits;
  for (const TraitKey& key : trait_keys) key.set(text, required_entry(text, key.name), traits);
  return traits;
}

void parse_field(const LayoutText& text, const FieldKey& key, LayoutSource& source) {
  const Presence presence = key.presence(source.layout.traits);
  const Entry* const entry =
      presence == Presence::required ? &required_entry(text, key.name) : find_entry(text, key.name);
  if (entry == nullptr) return;
  if (presence == Presence::forbidden) {
    fail(text, entry->line, fmt::format("the traits leave no room for the key '{}'", key.name));
  }
  if (!source.schema.empty() && entry->value.starts_with('@')) {
    source.table_fields.push_back({std::string{key.name}, std::string{entry->value.substr(1)}, entry->line});
    return;
  }
  key.slot(source.layout) = number_between(text, *entry, key.least, key.most);
}

/// Why a field does not fit into its struct; nothing where it does. Only after every field is filled in,
/// because a size may come after the offsets it bounds.
[[nodiscard]] std::optional<std::string> misfit(const FieldKey& key, Layout& layout) {
  if (key.struct_size == nullptr) return std::nullopt;
  const std::uint32_t place = key.slot(layout);
  const std::uint32_t width = key.width(layout.traits);
  const std::uint32_t whole = key.struct_size(layout);
  // Absent, or of a struct whose size the target's table tells.
  if (place == Field<std::byte>::absent || whole == 0 || std::uint64_t{place} + width <= whole) {
    return std::nullopt;
  }
  return fmt::format("'{}' takes {} bytes at {}, outside its struct of {} bytes", key.name, width, place,
                     whole);
}

void check_bounds(const LayoutText& text, const FieldKey& key, Layout& layout) {
  const Entry* const entry = find_entry(text, key.name);
  if (entry == nullptr) return;
  if (const auto why = misfit(key, layout)) fail(text, entry->line, *why);
}

[[nodiscard]] const FieldKey& field_key(std::string_view name) {
  return *std::find_if(field_keys.begin(), field_keys.end(),
                       [&](const FieldKey& key) { return key.name == name; });
}

/// Where a word of the target's table says that a field is.
struct Place {
  std::string_view word;
  std::uint64_t begin = 0, width = 0;

  [[nodiscard]] std::string_view owner() const { return word.substr(0, word.find('.')); }
  [[nodiscard]] bool overlaps(const Place& other) const {
    return owner() == other.owner() && begin < other.begin + other.width && other.begin < begin + width;
  }
};

/// Why these places cannot all be true; nothing where they can. The compiler aligns every field to its width.
[[nodiscard]] std::optional<std::string> contradiction(const std::vector<Place>& places) {
  for (const Place& place : places) {
    if (place.begin % place.width != 0) {
      return fmt::format("its word '{}' is {}, not a multiple of {}", place.word, place.begin, place.width);
    }
    for (const Place& other : places) {
      if (&other != &place && place.overlaps(other)) {
        return fmt::format("its words '{}' and '{}' overlap", place.word, other.word);
      }
    }
  }
  return std::nullopt;
}

/// Why the characters of a string cannot be where the layout says; nothing where they can.
[[nodiscard]] std::optional<std::string> misplaced_text(const UnicodeLayout& unicode) {
  if (!unicode.ascii_data.exists()) return std::nullopt;
  const auto head = std::max(unicode.length.offset + width_of(unicode.length),
                             unicode.state.offset + width_of(unicode.state));
  if (unicode.ascii_data.offset >= head) return std::nullopt;
  return fmt::format("the characters of a string are at {}, in its head of {} bytes",
                     unicode.ascii_data.offset, head);
}

}  // namespace

PythonVersion version_of_layout(std::string_view name, std::string_view text) {
  return parse_version(split_lines(name, text, "python"));
}

LayoutSource parse_layout(std::string_view name, std::string_view text) {
  const LayoutText lines = split_lines(name, text);
  refuse_unknown_keys(lines);
  LayoutSource source;
  source.name = name;
  source.layout.version = parse_version(lines);
  source.schema = parse_schema_name(lines);
  source.layout.traits = parse_traits(lines);
  for (const FieldKey& key : field_keys) parse_field(lines, key, source);
  for (const FieldKey& key : field_keys) check_bounds(lines, key, source.layout);
  // Where the copies are is of no use without where the first of them is.
  if (find_entry(lines, "code.thread_bytecode") != nullptr) {
    static_cast<void>(required_entry(lines, "code.thread_bytecode_entries"));
  }
  return source;
}

Result<Layout, std::string> complete_layout(const LayoutSource& source, const DebugOffsets& table) {
  Layout layout = source.layout;
  std::vector<Place> places;
  for (const auto& field : source.table_fields) {
    const FieldKey& key = field_key(field.key);
    const auto value = table.find(field.word);
    if (!value) return Failure{fmt::format("it has no word '{}'", field.word)};
    if (*value < key.least || *value > key.most) {
      return Failure{
          fmt::format("its word '{}' is {}, not from {} to {}", field.word, *value, key.least, key.most)};
    }
    const std::uint32_t width = key.width == nullptr ? 0 : key.width(layout.traits);
    const auto whole = table.struct_size(field.word);
    if (whole && *value + width > *whole) {
      return Failure{
          fmt::format("its word '{}' is {}, outside a struct of {} bytes", field.word, *value, *whole)};
    }
    key.slot(layout) = static_cast<std::uint32_t>(*value);
    if (width != 0) places.push_back({field.word, *value, width});
  }
  if (auto why = contradiction(places)) return Failure{std::move(*why)};
  if (auto why = misplaced_text(layout.unicode)) return Failure{std::move(*why)};
  for (const FieldKey& key : field_keys) {
    if (auto why = misfit(key, layout)) return Failure{std::move(*why)};
  }
  return layout;
}

}  // namespace sampler
