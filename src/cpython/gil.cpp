#include "sampler/cpython/gil.h"

#include <sys/syscall.h>

#include <algorithm>
#include <cstring>

namespace sampler {
namespace {

// The order of the words.
constexpr std::size_t first = 0;   // last_holder, or the current thread
constexpr std::size_t second = 1;  // switch_number, or interpreter_lock
constexpr std::size_t third = 2;   // the current thread, where last_holder is the first
constexpr std::size_t locked = 3;  // i32

// glibc's pthread_cond_t and pthread_mutex_t: what a thread that waits for 3.6's static GIL has its futex in.
constexpr std::uint64_t cond_size = 48;
constexpr std::uint64_t mutex_size = 40;
// The sem_t that 2.7's interpreter_lock points to.
constexpr std::uint64_t semaphore_size = 32;

/// A stripped 3.6 hides its statics; what it exports is what 2.7 has.
GilKind usable_kind(const Layout& layout, const GilAddresses& gil) {
  const auto kind = layout.traits.gil;
  const bool hidden = kind == GilKind::static_variables && gil.locked.is_null();
  return hidden ? GilKind::current_thread : kind;
}

AddressRange range(RemoteAddress begin, std::uint64_t size) {
  return {begin, begin + size};
}

}  // namespace

GilProbe::GilProbe(const Layout& layout, const GilAddresses& addresses)
    : kind_{usable_kind(layout, addresses)} {
  const auto& fields = layout.gil;
  switch (kind_) {
    case GilKind::none:
      break;
    case GilKind::current_thread:
      words_ = {{addresses.current_thread, 8}};
      if (!addresses.lock_pointer.is_null()) words_.push_back({addresses.lock_pointer, 8});
      break;
    case GilKind::static_variables:
      words_ = {{addresses.last_holder, 8},
                {addresses.switch_number, 8},
                {addresses.current_thread, 8},
                {addresses.locked, 4}};
      waits_ = {range(addresses.cond, cond_size), range(addresses.mutex, mutex_size)};
      break;
    case GilKind::in_runtime:
    case GilKind::in_interpreter:
      words_ = {{addresses.state + fields.last_holder.offset, 8},
                {addresses.state + fields.switch_number.offset, 8},
                {},
                {addresses.state + fields.locked.offset, 4}};
      waits_ = {{addresses.state + fields.cond.offset, addresses.state + fields.switch_cond.offset}};
      break;
  }
  place();
}

void GilProbe::place() {
  AddressRange whole{{~std::uint64_t{0}}, {}};
  std::uint32_t place = 0;
  for (auto& word : words_) {
    word.place = place;
    place += sizeof(std::uint64_t);
    if (word.address.is_null()) continue;
    whole.begin = std::min(whole.begin, word.address);
    whole.end = std::max(whole.end, word.address + word.size);
  }
  // Words of a struct are neighbours: one range costs a third of three.
  if (whole.end.value - whole.begin.value > sizeof(Words)) return;
  const auto last_of_all = static_cast<std::uint32_t>(sizeof(Words) - sizeof(std::uint64_t));
  for (auto& word : words_) {
    word.place = word.address.is_null() ? last_of_all
                                        : static_cast<std::uint32_t>(word.address.value - whole.begin.value);
  }
  whole_ = whole;
}

std::vector<RemoteRange> GilProbe::ranges(Words& words) const {
  words.fill(std::byte{0});
  if (!whole_.begin.is_null()) {
    return {{whole_.begin, std::span{words}.first(whole_.end.value - whole_.begin.value)}};
  }
  std::vector<RemoteRange> ranges;
  for (const auto& word : words_) {
    if (!word.address.is_null())
      ranges.push_back({word.address, std::span{words}.subspan(word.place, word.size)});
  }
  return ranges;
}

template <class T>
T GilProbe::word(const Words& words, std::size_t index) const {
  T value{};
  if (index < words_.size()) std::memcpy(&value, words.data() + words_[index].place, sizeof(T));
  return value;
}

GilState GilProbe::decode(const Words& words) const {
  GilState state;
  switch (kind_) {
    case GilKind::current_thread:
      state.holder = word<RemoteAddress>(words, first);
      return state;
    case GilKind::none:
    case GilKind::static_variables:
    case GilKind::in_runtime:
    case GilKind::in_interpreter:
      break;
  }
  const auto is_locked = word<std::int32_t>(words, locked);
  state.last_holder = word<RemoteAddress>(words, first);
  state.switches = word<std::uint64_t>(words, second);
  if (is_locked > 0) state.holder = state.last_holder;
  if (is_locked < 0) {
    // A process that never made a thread has no GIL: whoever is current runs.
    state.holder = state.last_holder = word<RemoteAddress>(words, third);
    state.switches.reset();
    state.is_ready = kind_ == GilKind::static_variables;
  }
  return state;
}

bool GilProbe::is_wait_for_gil(const BlockedCall& call, const Words& words) const {
  if (call.number != SYS_futex) return false;
  const auto is_inside = [&](const AddressRange& wait) {
    return wait.contains(RemoteAddress{call.first_argument});
  };
  if (kind_ == GilKind::current_thread) {
    const auto lock = word<RemoteAddress>(words, second);
    return !lock.is_null() && is_inside(range(lock, semaphore_size));
  }
  return std::any_of(waits_.begin(), waits_.end(), is_inside);
}

GilGuard::GilGuard(const PythonRuntime& runtime) : layout_{runtime.layout} {
  if (layout_->traits.gil == GilKind::none) return;
  add(runtime.gil);
  plan();
}

void GilGuard::add(const GilAddresses& addresses) {
  gils_.push_back(std::make_unique<Gil>(Gil{addresses.state, GilProbe{*layout_, addresses}}));
}

bool GilGuard::guard(const std::vector<RemoteAddress>& structs) {
  std::vector<RemoteAddress> others;
  for (const auto address : structs) {
    const bool is_new = has_gil() && address != gils_.front()->address &&
                        std::find(others.begin(), others.end(), address) == others.end();
    if (is_new) others.push_back(address);
  }
  const auto is_same = [](const auto& gil, RemoteAddress address) { return gil->address == address; };
  if (!has_gil() || std::equal(gils_.begin() + 1, gils_.end(), others.begin(), others.end(), is_same)) {
    return false;
  }
  gils_.resize(1);
  for (const auto address : others) {
    GilAddresses own;
    own.state = address;
    add(own);
  }
  plan();
  return true;
}

void GilGuard::plan() {
  before_.clear();
  after_.clear();
  for (const auto& gil : gils_) {
    const auto first = gil->probe.ranges(gil->before);
    const auto last = gil->probe.ranges(gil->after);
    before_.insert(before_.end(), first.begin(), first.end());
    after_.insert(after_.end(), last.begin(), last.end());
  }
}

std::vector<GilState> GilGuard::state_before() const {
  std::vector<GilState> states;
  for (const auto& gil : gils_) states.push_back(gil->probe.decode(gil->before));
  return states;
}

std::vector<GilState> GilGuard::state_after() const {
  std::vector<GilState> states;
  for (const auto& gil : gils_) states.push_back(gil->probe.decode(gil->after));
  return states;
}

bool GilGuard::is_wait_for_gil(const BlockedCall& call) const {
  return std::any_of(gils_.begin(), gils_.end(),
                     [&](const auto& gil) { return gil->probe.is_wait_for_gil(call, gil->before); });
}

bool is_holder(const std::vector<GilState>& gils, RemoteAddress thread_state) {
  return std::any_of(gils.begin(), gils.end(),
                     [&](const GilState& gil) { return gil.holder == thread_state; });
}

bool is_last_holder(const std::vector<GilState>& gils, RemoteAddress thread_state) {
  return std::any_of(gils.begin(), gils.end(),
                     [&](const GilState& gil) { return gil.last_holder == thread_state; });
}

bool count_switches(const std::vector<GilState>& gils) {
  return std::all_of(gils.begin(), gils.end(), [](const GilState& gil) { return gil.switches.has_value(); });
}

}  // namespace sampler
