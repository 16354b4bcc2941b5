#pragma once

#include <string>
#include <string_view>

#include "catch.h"
#include "sampler/base/error.h"

namespace sampler {

/// The smallest kind of layout: heap frames, byte strings, no runtime struct. 31 lines.
inline std::string simple_text() {
  return "# comment\n"
         "python 9.1\n"
         "source static\n"
         "\n"
         "trait.frame_chain frame_objects\n"
         "trait.line_table lnotab_unsigned\n"
         "trait.instruction byte_offset\n"
         "trait.strings byte_string\n"
         "trait.gil current_thread\n"
         "trait.state_thread named\n"
         "trait.first_trampoline_owner 255\n"
         "trait.executable_tag_mask 0\n"
         "interpreter.next 0\n"
         "interpreter.threads_head 8\n"
         "thread.size\t152\n"
         "thread.next 0\n"
         "thread.interpreter 8\n"
         "thread.frame 16\n"
         "thread.thread_id 144\n"
         "frame.size 124\n"
         "frame.previous 24\n"
         "frame.executable 32\n"
         "frame.instruction 120\n"
         "code.size 128\n"
         "code.filename 80\n"
         "code.name 88\n"
         "code.first_line 96\n"
         "code.line_table 104\n"
         "object.type 8\n"
         "object.var_size 16\n"
         "bytes.data 36\n";
}

/// A text with the first occurrence of `line` replaced.
inline std::string replaced(std::string text, std::string_view line, std::string_view replacement) {
  const auto at = text.find(line);
  REQUIRE(at != std::string::npos);
  return text.replace(at, line.size(), replacement);
}

/// simple_text() with one line replaced by another text.
inline std::string simple_text_with(std::string_view line, std::string_view replacement) {
  return replaced(simple_text(), line, replacement);
}

/// A layout of a free-threaded Python some of whose fields its own table tells, as little_schema() has it.
inline std::string table_text() {
  return "python 9.2t\n"
         "source debug_offsets\n"
         "schema little\n"
         "trait.frame_chain direct\n"
         "trait.line_table pep657\n"
         "trait.instruction pointer\n"
         "trait.strings byte_string\n"
         "trait.gil none\n"
         "trait.state_thread named\n"
         "trait.first_trampoline_owner 3\n"
         "trait.executable_tag_mask 3\n"
         "runtime.interpreters_head @runtime_state.interpreters_head\n"
         "runtime.finalizing 24\n"
         "interpreter.next @interpreter_state.next\n"
         "interpreter.threads_head 72\n"
         "interpreter.id 8\n"
         "thread.size @thread_state.size\n"
         "thread.next @thread_state.next\n"
         "thread.interpreter 16\n"
         "thread.current_frame 24\n"
         "thread.thread_id 40\n"
         "thread.attachment 32\n"
         "frame.size 88\n"
         "frame.previous 8\n"
         "frame.executable 0\n"
         "frame.instruction 56\n"
         "frame.owner @interpreter_frame.owner\n"
         "code.size @code_object.size\n"
         "code.filename 80\n"
         "code.name 88\n"
         "code.first_line @code_object.firstlineno\n"
         "code.line_table 104\n"
         "code.bytecode 200\n"
         "code.unit_count 32\n"
         "object.type @pyobject.ob_type\n"
         "object.var_size 32\n"
         "bytes.data 48\n";
}

/// The runtime's struct has no size here, and the last word belongs to none.
inline std::string little_schema() {
  return "# comment\n"
         "cookie\n"
         "version\n"
         "free_threaded\n"
         "\n"
         "runtime_state.interpreters_head\n"
         "interpreter_state.size\n"
         "interpreter_state.next\n"
         "thread_state.size\n"
         "thread_state.next\n"
         "interpreter_frame.size\n"
         "interpreter_frame.owner\n"
         "code_object.size\n"
         "code_object.firstlineno\n"
         "pyobject.size\n"
         "pyobject.ob_type\n"
         "exc_value\n";
}

/// What the Error{usage} of an act says.
template <class Act>
std::string mistake_of(Act act) {
  try {
    act();
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::usage);
    return error.what();
  }
  return "no mistake found";
}

}  // namespace sampler
