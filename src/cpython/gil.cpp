#include "sampler/cpython/gil.h"

#include <sys/syscall.h>

#include <algorithm>
#include <cstring>

namespace sampler {
namespace {

template <class T>
T word_at(const GilProbe::Words& words, std::size_t offset) {
  T value{};
  std::memcpy(&value, words.data() + offset, sizeof(T));
  return value;
}

// The order of the words, and so their place in Words.
constexpr std::size_t first = 0;    // last_holder, or the current thread
constexpr std::size_t second = 8;   // switch_number, or interpreter_lock
constexpr std::size_t third = 16;   // the current thread, where last_holder is the first
constexpr std::size_t locked = 24;  // i32

// glibc's pthread_cond_t and pthread_mutex_t: what a thread that waits for 3.6's static GIL has its futex in.
constexpr std::uint64_t cond_size = 48;
constexpr std::uint64_t mutex_size = 40;
// The sem_t that 2.7's interpreter_lock points to.
constexpr std::uint64_t semaphore_size = 32;

/// A stripped 3.6 hides its statics; what it exports is what 2.7 has.
GilKind usable_kind(const PythonRuntime& runtime) {
  const auto kind = runtime.layout->traits.gil;
  const bool hidden = kind == GilKind::static_variables && runtime.gil.locked.is_null();
  return hidden ? GilKind::current_thread : kind;
}

}  // namespace

GilProbe::GilProbe(const PythonRuntime& runtime) : kind_{usable_kind(runtime)} {
  const auto& gil = runtime.gil;
  const auto& layout = runtime.layout->gil;
  switch (kind_) {
    case GilKind::current_thread:
      words_ = {{gil.current_thread, 8}};
      if (!gil.lock_pointer.is_null()) words_.push_back({gil.lock_pointer, 8});
      break;
    case GilKind::static_variables:
      words_ = {{gil.last_holder, 8}, {gil.switch_number, 8}, {gil.current_thread, 8}, {gil.locked, 4}};
      waits_ = {{gil.cond, cond_size}, {gil.mutex, mutex_size}};
      break;
    case GilKind::in_runtime:
    case GilKind::in_interpreter:
      words_ = {{gil.state + layout.last_holder.offset, 8},
                {gil.state + layout.switch_number.offset, 8},
                {{}, 8},
                {gil.state + layout.locked.offset, 4}};
      waits_ = {{gil.state + layout.cond.offset, layout.switch_cond.offset - layout.cond.offset}};
      break;
  }
}

std::vector<RemoteRange> GilProbe::ranges(Words& words) const {
  std::vector<RemoteRange> ranges;
  std::size_t offset = 0;
  words.fill(std::byte{0});
  for (const auto& word : words_) {
    if (!word.address.is_null())
      ranges.push_back({word.address, std::span{words}.subspan(offset, word.size)});
    offset += 8;
  }
  return ranges;
}

GilState GilProbe::decode(const Words& words) const {
  GilState state;
  switch (kind_) {
    case GilKind::current_thread:
      state.holder = word_at<RemoteAddress>(words, first);
      return state;
    case GilKind::static_variables:
    case GilKind::in_runtime:
    case GilKind::in_interpreter:
      break;
  }
  const auto is_locked = word_at<std::int32_t>(words, locked);
  state.last_holder = word_at<RemoteAddress>(words, first);
  state.switches = word_at<std::uint64_t>(words, second);
  if (is_locked > 0) state.holder = state.last_holder;
  if (is_locked < 0) {
    // A process that never made a thread has no GIL: whoever is current runs.
    state.holder = state.last_holder = word_at<RemoteAddress>(words, third);
    state.switches.reset();
    state.is_ready = kind_ == GilKind::static_variables;
  }
  return state;
}

bool GilProbe::is_wait_for_gil(const BlockedCall& call, const Words& words) const {
  if (call.number != SYS_futex) return false;
  const auto is_inside = [&](const AddressRange& range) {
    return call.first_argument - range.begin.value < range.size;
  };
  if (kind_ == GilKind::current_thread) {
    const auto lock = word_at<RemoteAddress>(words, second);
    return !lock.is_null() && is_inside({lock, semaphore_size});
  }
  return std::any_of(waits_.begin(), waits_.end(), is_inside);
}

}  // namespace sampler
