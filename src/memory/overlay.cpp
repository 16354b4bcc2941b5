#include "sampler/memory/overlay.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <utility>

namespace sampler {

bool Overlay::must_plan() const noexcept {
  return !missed_.empty() || std::any_of(planned_.begin(), planned_.end(), [&](const Block& block) {
    return !block.is_readable || sample_ - block.last_used > patience_;
  });
}

void Overlay::plan() {
  std::vector<std::byte> before;
  const auto old_copies = std::exchange(copies_[current_], {});
  std::vector<Block> planned;
  std::copy_if(planned_.begin(), planned_.end(), std::back_inserter(planned), [&](const Block& block) {
    return block.is_readable && sample_ - block.last_used <= patience_;
  });
  for (const auto& [address, missed] : missed_) {
    planned.push_back(Block{address, sample_, sample_, missed.turn});
  }
  missed_.clear();
  std::sort(planned.begin(), planned.end(),
            [](const Block& a, const Block& b) { return a.address < b.address; });
  before.resize(planned.size() * block_size);
  auto old = planned_.begin();
  for (std::size_t i = 0; i < planned.size(); ++i) {
    auto& block = planned[i];
    while (old != planned_.end() && old->address < block.address) ++old;
    block.is_new = old == planned_.end() || old->address != block.address || !old->is_readable;
    if (block.is_new) continue;
    const auto* const from =
        old_copies.data() + static_cast<std::size_t>(old - planned_.begin()) * block_size;
    std::memcpy(before.data() + i * block_size, from, block_size);
  }
  planned_ = std::move(planned);
  copies_[1 - current_].resize(before.size());
  copies_[current_] = std::move(before);
  plan_runs();
}

void Overlay::plan_runs() {
  runs_.clear();
  for (std::size_t i = 0; i < planned_.size(); ++i) {
    const auto& block = planned_[i];
    const bool continues = i > 0 && block.address == planned_[i - 1].address + block_size;
    if (!continues) runs_.push_back(Run{i, i, block.turn});
    runs_.back().end = i + 1;
    runs_.back().turn = std::min(runs_.back().turn, block.turn);
  }
  // Of those that were read at the same turn of different samples, the higher one is the deeper in a data
  // stack.
  std::stable_sort(runs_.begin(), runs_.end(), [](const Run& a, const Run& b) {
    return a.turn != b.turn ? a.turn < b.turn : a.begin > b.begin;
  });
}

std::span<std::byte> Overlay::bytes_of(const Run& run) noexcept {
  return {copies_[current_].data() + run.begin * block_size, (run.end - run.begin) * block_size};
}

void Overlay::compare(const Run& run) noexcept {
  for (std::size_t i = run.begin; i < run.end; ++i) {
    auto& block = planned_[i];
    const auto offset = i * block_size;
    block.has_changed =
        block.is_new || std::memcmp(copies_[0].data() + offset, copies_[1].data() + offset, block_size) != 0;
  }
}

bool Overlay::fetch(std::span<const RemoteRange> first, std::span<const RemoteRange> last) {
  if (must_plan()) {
    plan();
  } else {
    for (auto& block : planned_) block.is_new = false;
  }
  current_ = 1 - current_;
  batch_.assign(first.begin(), first.end());
  for (const auto& run : runs_) batch_.push_back({{planned_[run.begin].address}, bytes_of(run)});
  batch_.insert(batch_.end(), last.begin(), last.end());
  memory_.read_batch(batch_, unread_);
  ++sample_;
  turn_ = 0;
  has_missed_ = false;
  hint_ = 0;
  for (const auto& run : runs_) compare(run);
  bool have_guards = true;
  for (const auto index : unread_) {
    if (index < first.size() || index >= first.size() + runs_.size()) {
      have_guards = false;
      continue;
    }
    const auto& run = runs_[index - first.size()];
    for (std::size_t i = run.begin; i < run.end; ++i) planned_[i].is_readable = false;
  }
  return have_guards;
}

const std::byte* Overlay::copy_block(std::uint64_t address) {
  has_missed_ = true;
  std::vector<std::byte> bytes(block_size);
  if (!memory_.read({address}, bytes)) return nullptr;
  return missed_.insert_or_assign(address, Missed{std::move(bytes), turn_++}).first->second.bytes.data();
}

std::optional<Overlay::Run> Overlay::find(RemoteAddress from, std::size_t size) noexcept {
  const auto address = from.value - from.value % block_size;
  if (hint_ >= planned_.size() || planned_[hint_].address != address) {
    const auto found =
        std::lower_bound(planned_.begin(), planned_.end(), address,
                         [](const Block& block, std::uint64_t at) { return block.address < at; });
    if (found == planned_.end() || found->address != address) return std::nullopt;
    hint_ = static_cast<std::size_t>(found - planned_.begin());
  }
  const Run run{hint_, hint_ + (from.value - address + size + block_size - 1) / block_size, 0};
  const bool are_neighbours = run.end <= planned_.size() && planned_[run.end - 1].address - address ==
                                                                (run.end - 1 - run.begin) * block_size;
  if (!are_neighbours) return std::nullopt;
  const bool are_readable = std::all_of(planned_.begin() + static_cast<std::ptrdiff_t>(run.begin),
                                        planned_.begin() + static_cast<std::ptrdiff_t>(run.end),
                                        [](const Block& block) { return block.is_readable; });
  return are_readable ? std::optional{run} : std::nullopt;
}

std::optional<Overlay::Run> Overlay::use(RemoteAddress from, std::size_t size) noexcept {
  const auto run = size == 0 ? std::nullopt : find(from, size);
  if (!run) return std::nullopt;
  for (std::size_t i = run->begin; i < run->end; ++i) planned_[i].last_used = sample_;
  return run;
}

const std::byte* Overlay::view(RemoteAddress from, std::size_t size) noexcept {
  const auto run = use(from, size);
  if (!run) return nullptr;
  for (std::size_t i = run->begin; i < run->end; ++i) {
    auto& block = planned_[i];
    if (block.last_read == sample_) continue;
    block.last_read = sample_;
    block.turn = turn_++;
  }
  return bytes_of(*run).data() + from.value % block_size;
}

const std::byte* Overlay::peek(RemoteAddress from, std::size_t size) noexcept {
  const auto run = size == 0 ? std::nullopt : find(from, size);
  return run ? bytes_of(*run).data() + from.value % block_size : nullptr;
}

std::size_t Overlay::count_unchanged(RemoteAddress from, std::size_t size) noexcept {
  const auto run = use(from, size);
  if (!run) return 0;
  const auto begin = run->begin * block_size + from.value % block_size;
  const auto end = begin + size;
  for (auto at = begin; at < end;) {
    const auto& block = planned_[at / block_size];
    const auto next = std::min(end, (at / block_size + 1) * block_size);
    if (block.is_new) return at - begin;
    if (block.has_changed) {
      const auto* const now = copies_[0].data();
      const auto* const before = copies_[1].data();
      const auto* const differs = std::mismatch(now + at, now + next, before + at).first;
      if (differs != now + next) return static_cast<std::size_t>(differs - now) - begin;
    }
    at = next;
  }
  return size;
}

const std::byte* Overlay::block_at(std::uint64_t address) {
  if (const auto* const planned = view({address}, block_size)) return planned;
  // A run that failed as a whole may hold readable blocks: they are read alone.
  if (const auto known = missed_.find(address); known != missed_.end()) return known->second.bytes.data();
  return copy_block(address);
}

Result<void, ReadError> Overlay::read(RemoteAddress from, std::span<std::byte> into) noexcept {
  if (into.size() > most_copied) {
    has_missed_ = true;
    return memory_.read(from, into);
  }
  if (const auto* const bytes = view(from, into.size())) {
    std::memcpy(into.data(), bytes, into.size());
    return {};
  }
  std::size_t done = 0;
  while (done < into.size()) {
    const auto at = from.value + done;
    const auto offset = at % block_size;
    const auto count = std::min<std::size_t>(block_size - offset, into.size() - done);
    const std::byte* block = block_at(at - offset);
    if (block == nullptr) return Failure{ReadError{from, static_cast<std::uint32_t>(into.size()), EFAULT}};
    std::memcpy(into.data() + done, block + offset, count);
    done += count;
  }
  return {};
}

}  // namespace sampler
