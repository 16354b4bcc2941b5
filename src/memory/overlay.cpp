#include "sampler/memory/overlay.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace sampler {

void Overlay::plan() {
  std::erase_if(planned_, [&](const Block& block) {
    return !block.is_readable || sample_ - block.last_used > patience_;
  });
  for (const auto& [address, bytes] : missed_) planned_.push_back(Block{address, sample_, true});
  missed_.clear();
  std::sort(planned_.begin(), planned_.end(),
            [](const Block& a, const Block& b) { return a.address < b.address; });
  copies_.resize(planned_.size() * block_size);
}

bool Overlay::fetch(std::span<const RemoteRange> first, std::span<const RemoteRange> last) {
  plan();
  batch_.assign(first.begin(), first.end());
  std::vector<std::size_t> first_block_of_run;
  for (std::size_t i = 0; i < planned_.size(); ++i) {
    planned_[i].is_readable = true;
    const std::span bytes{copies_.data() + i * block_size, block_size};
    if (i > 0 && planned_[i].address == planned_[i - 1].address + block_size) {
      auto& run = batch_.back().into;
      run = {run.data(), run.size() + block_size};
      continue;
    }
    first_block_of_run.push_back(i);
    batch_.push_back(RemoteRange{{planned_[i].address}, bytes});
  }
  const auto last_begins = batch_.size();
  batch_.insert(batch_.end(), last.begin(), last.end());
  memory_.read_batch(batch_, unread_);
  ++sample_;
  has_missed_ = false;
  hint_ = 0;
  bool have_guards = true;
  for (const auto index : unread_) {
    if (index < first.size() || index >= last_begins) {
      have_guards = false;
      continue;
    }
    const auto begin = first_block_of_run[index - first.size()];
    const auto count = batch_[index].into.size() / block_size;
    for (std::size_t i = begin; i < begin + count; ++i) planned_[i].is_readable = false;
  }
  return have_guards;
}

const std::byte* Overlay::copy_block(std::uint64_t address) {
  has_missed_ = true;
  std::vector<std::byte> bytes(block_size);
  if (!memory_.read({address}, bytes)) return nullptr;
  return missed_.insert_or_assign(address, std::move(bytes)).first->second.data();
}

const std::byte* Overlay::block_at(std::uint64_t address) {
  const auto is_before = [](const Block& block, std::uint64_t at) { return block.address < at; };
  auto found = planned_.begin() + static_cast<std::ptrdiff_t>(std::min(hint_, planned_.size()));
  if (found == planned_.end() || found->address != address) {
    found = std::lower_bound(planned_.begin(), planned_.end(), address, is_before);
  }
  if (found != planned_.end() && found->address == address) {
    hint_ = static_cast<std::size_t>(found - planned_.begin());
    found->last_used = sample_;
    // A run that failed as a whole may hold readable blocks: they are read alone.
    if (found->is_readable) return copies_.data() + hint_ * block_size;
  }
  if (const auto known = missed_.find(address); known != missed_.end()) return known->second.data();
  return copy_block(address);
}

Result<void, ReadError> Overlay::read(RemoteAddress from, std::span<std::byte> into) noexcept {
  if (into.size() > most_copied) {
    has_missed_ = true;
    return memory_.read(from, into);
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
