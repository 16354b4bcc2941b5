#pragma once

#include <cstdint>
#include <string>

#include "sampler/base/remote_address.h"
#include "sampler/model/python_version.h"

namespace sampler {

/// The place of one field in its struct, in bytes; it knows what lives there. Absent where this Python has no
/// such field.
template <class T>
struct Field {
  static constexpr std::uint32_t absent = ~std::uint32_t{0};
  std::uint32_t offset = absent;

  [[nodiscard]] constexpr bool exists() const noexcept { return offset != absent; }
};

/// How a thread state leads to its innermost frame.
enum class FrameChain : std::uint8_t {
  frame_objects,   ///< thread.frame -> PyFrameObject, linked on the heap
  through_cframe,  ///< thread.cframe -> _PyCFrame.current_frame -> _PyInterpreterFrame
  direct,          ///< thread.current_frame -> _PyInterpreterFrame
};

/// The coding of a code object's line table.
enum class LineTable : std::uint8_t {
  lnotab_unsigned,  ///< pairs of (u8 bytes, u8 lines): lines never go back
  lnotab_signed,    ///< pairs of (u8 bytes, i8 lines)
  pep626,           ///< pairs of (u8 bytes, i8 lines), ranges, -128 = no line
  pep657,           ///< variable-length location entries
};

/// What a frame's instruction field holds.
enum class InstructionPointer : std::uint8_t {
  byte_offset,  ///< i32 f_lasti in bytes, -1 before the first
  code_unit,    ///< i32 f_lasti in 2-byte code units, -1 before the first
  pointer,      ///< pointer into the code object's bytecode
};

/// How names and file names are stored.
enum class StringKind : std::uint8_t {
  byte_string,  ///< a bytes object of unspecified encoding
  unicode,      ///< PEP 393
};

/// Where the GIL's words live.
enum class GilKind : std::uint8_t {
  none,              ///< a free-threaded build: every thread may change its frames at any time
  current_thread,    ///< the static _PyThreadState_Current, and interpreter_lock once there is a GIL
  static_variables,  ///< the statics gil_locked, gil_last_holder and gil_switch_number
  in_runtime,        ///< a struct at runtime.gil
  in_interpreter,    ///< a struct that interpreter.gil points to
};

/// Which kernel thread runs a thread state of a subinterpreter.
enum class StateThread : std::uint8_t {
  named,      ///< the one that the state names
  by_cframe,  ///< the one on whose C stack the state's cframe lies: it may be another than made it
  untold,     ///< the one whose C stack has its frames: any may run it, and nothing else tells
};

/// What a frame or a code object has at most, in bytes: both are read whole into buffers of this size.
inline constexpr std::uint32_t most_struct_bytes = 512;

struct LayoutTraits {
  FrameChain frame_chain{};
  LineTable line_table{};
  InstructionPointer instruction{};
  StringKind strings{};
  GilKind gil{};
  StateThread state_thread{};
  /// Frames whose owner is this or higher are entry trampolines without Python code; 255 where there are
  /// none.
  std::uint8_t first_trampoline_owner = 255;
  /// Bits of a frame's executable that are a tag and not part of the address.
  std::uint64_t executable_tag_mask = 0;
};

struct RuntimeLayout {
  std::uint32_t size = 0;  ///< sizeof(_PyRuntimeState), where releases of the version differ in it; else 0
  Field<RemoteAddress> interpreters_head;  ///< in _PyRuntime; before that, the symbol interp_head
  Field<RemoteAddress> gil;                ///< the struct itself, not a pointer to it
  Field<RemoteAddress> finalizing;         ///< the thread that ends the runtime; null before
};
struct InterpreterLayout {
  Field<RemoteAddress> next, threads_head;
  Field<std::int64_t> id;
  Field<RemoteAddress> gil;  ///< a pointer to the struct
};
struct GilLayout {
  std::uint32_t size = 0;
  Field<RemoteAddress> last_holder;
  Field<std::int32_t> locked;
  Field<std::uint64_t> switch_number;
  /// A futex in [cond, switch_cond) is a wait for the GIL, one from switch_cond on a wait to have handed it
  /// over.
  Field<std::byte> cond, switch_cond;
};
struct ThreadLayout {
  std::uint32_t size = 0;  ///< bytes from the thread state's start that hold all the fields below
  Field<RemoteAddress> next, interpreter;
  Field<RemoteAddress> frame, cframe, current_frame;  ///< the one that trait.frame_chain names exists
  Field<std::uint64_t> thread_id;                     ///< pthread_self()
  Field<std::uint64_t> native_thread_id;
  Field<RemoteAddress> data_stack_top;    ///< where the next frame on the data stack goes
  Field<RemoteAddress> data_stack_chunk;  ///< the newest _PyStackChunk: {previous, size, top, data}
  Field<std::int32_t> attachment;         ///< where there is no GIL: 1 while the thread may run Python
};
struct CFrameLayout {
  Field<RemoteAddress> current_frame;
  Field<RemoteAddress> previous;  ///< the cframe of the evaluation loop that called this one
};
struct FrameLayout {
  std::uint32_t size = 0;  ///< bytes from the frame's start that hold all the fields below
  Field<RemoteAddress> previous, executable;
  Field<std::uint64_t> instruction;  ///< as trait.instruction says; the offsets are 4 bytes, the pointer 8
  Field<std::uint8_t> owner;
  Field<std::int32_t>
      bytecode_index;  ///< which copy of its code's bytecode the thread runs; 0: the code's own
  // What tells, without the thread standing still, whether a frame is of a call that goes on:
  Field<RemoteAddress> function;       ///< what is called
  Field<std::int32_t> stack_top;       ///< while it calls Python, the number of words used from `locals` on;
                                       ///< negative while it runs itself or calls C, unless it is traced
  Field<RemoteAddress> stack_pointer;  ///< the end of its value stack while it calls; of an older call else
  Field<std::uint16_t> return_offset;  ///< from its instruction to where the call that it is in, or was in
                                       ///< last, returns to; 0 before its first
  Field<std::uint8_t> is_entry;        ///< not 0: called by C
  Field<RemoteAddress> locals;         ///< the first of its locals; its value stack follows them
  Field<std::int64_t> references;      ///< to a frame object; none once it has returned and nobody keeps it
  Field<std::int8_t> state;            ///< of a frame object
  std::uint32_t running_state = 0;     ///< what `state` is while the call goes on
};
struct CodeLayout {
  std::uint32_t size = 0;  ///< sizeof(PyCodeObject)
  Field<RemoteAddress> filename, name, qualname, line_table;
  Field<std::int32_t> first_line;
  Field<std::byte> bytecode;       ///< co_code_adaptive, where the bytecode is part of the object
  Field<std::int64_t> unit_count;  ///< ob_size, where the bytecode is part of the object
  Field<std::int32_t> local_count, stack_size;  ///< words that a frame has for its locals and value stack
  Field<std::int32_t> flags;                    ///< co_flags
  Field<std::uint32_t> version;                 ///< unique to a code object of its interpreter while not 0
  Field<RemoteAddress>
      thread_bytecode;  ///< -> array of the threads' copies of the bytecode: {i64 size, entries}
  Field<RemoteAddress> thread_bytecode_entries;  ///< of the first entry, in that array
};
struct ObjectLayout {
  Field<RemoteAddress> type;
  Field<std::int64_t> var_size;  ///< PyVarObject.ob_size
};
struct BytesLayout {
  Field<std::byte> data;
};
struct UnicodeLayout {
  Field<std::int64_t> length;
  Field<std::uint32_t> state;
  Field<std::byte> ascii_data;                                       ///< sizeof(PyASCIIObject)
  Field<std::byte> compact_data;                                     ///< sizeof(PyCompactUnicodeObject)
  Field<RemoteAddress> legacy_data;                                  ///< PyUnicodeObject.data
  std::uint32_t kind_shift = 0, compact_shift = 0, ascii_shift = 0;  ///< bits in state; kind is 3 bits wide
};

/// Where everything this program reads lies in one CPython's memory. Filled from cpython_offsets/X.Y.layout.
struct Layout {
  PythonVersion version;
  LayoutTraits traits;
  RuntimeLayout runtime;
  InterpreterLayout interpreter;
  GilLayout gil;
  ThreadLayout thread;
  CFrameLayout cframe;
  FrameLayout frame;
  CodeLayout code;
  ObjectLayout object;
  BytesLayout bytes;
  UnicodeLayout unicode;
};

}  // namespace sampler
