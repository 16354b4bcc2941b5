#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "sampler/base/ids.h"
#include "sampler/base/remote_address.h"
#include "sampler/cpython/layout.h"

namespace sampler {

/// Addresses of the GIL's variables, as trait.gil says; the others are null.
struct GilAddresses {
  RemoteAddress state;                                            ///< the struct, where there is one
  RemoteAddress locked, last_holder, switch_number, cond, mutex;  ///< the statics of 3.6
  RemoteAddress current_thread;                                   ///< _PyThreadState_Current
  RemoteAddress lock_pointer;  ///< interpreter_lock; null where the file has no such symbol
};

/// The addresses from `begin` up to `end`.
struct AddressRange {
  RemoteAddress begin, end;

  [[nodiscard]] bool contains(RemoteAddress address) const noexcept {
    return address >= begin && address < end;
  }
};

/// One initialised CPython in the target: where its parts are.
struct PythonRuntime {
  std::shared_ptr<const Layout> layout;
  RemoteAddress finalizing;  ///< of the pointer to the thread that ends the runtime; null where there is none
  AddressRange image;        ///< where the interpreter's file is loaded: its static objects are in it
  RemoteAddress interpreters_head;  ///< of the pointer to the first interpreter state
  RemoteAddress code_type;          ///< PyCode_Type: what the type of every code object is
  GilAddresses gil;
  std::optional<std::uint32_t> tid_offset;  ///< of the kernel's thread number in glibc's struct pthread
  Tid main_thread{};                        ///< the process's first thread, as the target knows it
};

}  // namespace sampler
