#include "sampler/process/preemption.h"

#include <malloc.h>

#include <atomic>
#include <exception>
#include <optional>
#include <system_error>

namespace sampler {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

/// Longer than a visitor takes to come to a CPU that is to be had.
constexpr auto longest_wait = 100us;
/// Longer than most stacks take to be read; who reads may have lost his own CPU meanwhile.
constexpr auto longest_stay = 250us;

/// A stack that took longer will be one for some time: reading it twice costs the thread twice the time.
constexpr auto long_stacks = 1s;

bool has_ended(const std::optional<ThreadPlace>& place) noexcept {
  return !place || place->state == 'Z' || place->state == 'X';
}

/// The reading of a visit, while a thread of ours is on the CPU: that it stays there is up to who calls.
Visit read_on(int cpu, const ThreadWatch& watch, const std::function<void()>& reading) {
  Visit visit{.since = Clock::now()};
  const auto refuse = [&](Arrival why) {
    visit.arrival = why;
    return visit;
  };
  const auto turns = watch.turns();
  const auto before = watch.place();
  if (has_ended(before)) return refuse(Arrival::ended);
  if (!turns) return refuse(Arrival::uncounted);
  if (before->cpu != cpu) return refuse(Arrival::moved);
  reading();
  const auto after = watch.place();
  visit.stood_still = !has_ended(after) && after->cpu == cpu && watch.turns() == turns;
  visit.until = Clock::now();
  return visit;
}

/// Where who asked for a visit and the visitor agree on who of them reads.
class Meeting {
 public:
  /// Whether the visitor will be awaited; else it is to read.
  explicit Meeting(bool is_awaited) : stage_{is_awaited ? Stage::open : Stage::over} {}

  /// By the visitor, on the CPU: stays there for as long as the other reads, or for longest_stay. False where
  /// it is not awaited any more.
  bool stay() noexcept {
    auto stage = Stage::open;
    if (!stage_.compare_exchange_strong(stage, Stage::visitor_is_there)) return false;
    const auto end = Clock::now() + longest_stay;
    while (stage_ != Stage::over && Clock::now() < end) __builtin_ia32_pause();
    if (stage_ == Stage::over) last_cpu_ = ::sched_getcpu();
    return true;
  }
  /// By the other: whether the visitor has come, within longest_wait. It stays until end() then.
  bool await() noexcept {
    const auto end = Clock::now() + longest_wait;
    while (stage_ == Stage::open && Clock::now() < end) __builtin_ia32_pause();
    auto stage = Stage::open;
    stage_.compare_exchange_strong(stage, Stage::over);
    return stage == Stage::visitor_is_there;
  }
  void end() noexcept { stage_ = Stage::over; }
  /// The CPU on which the visitor, which has left again, saw the end; nothing where it had left before.
  [[nodiscard]] std::optional<int> last_cpu() const noexcept { return last_cpu_; }

 private:
  enum class Stage { open, visitor_is_there, over };
  std::atomic<Stage> stage_;
  std::optional<int> last_cpu_;
};

}  // namespace

Preemptor::Preemptor(Priority priority) : priority_{priority} {
  if (::sched_getaffinity(0, sizeof own_, own_.data()) != 0) own_ = {};
}

bool Preemptor::may_use(int cpu) const noexcept {
  return cpu >= 0 && CPU_ISSET_S(static_cast<std::size_t>(cpu), sizeof own_, own_.data());
}

Preemptor::Visitor* Preemptor::visitor_of(int cpu) {
  if (!may_use(cpu)) return nullptr;
  // Only one of ours has something to allocate at a time: a heap for each would only take memory.
  if (visitors_.empty()) ::mallopt(M_ARENA_MAX, 1);
  const auto ours = visitors_.find(cpu);
  if (ours != visitors_.end()) return &ours->second;
  try {
    return &visitors_.try_emplace(cpu, cpu, priority_).first->second;
  } catch (const std::system_error&) {
    return nullptr;  // there can be no more threads
  }
}

bool Preemptor::is_prompt_on(int cpu) {
  if (priority_ == Priority::normal) return false;
  const auto* const visitor = visitor_of(cpu);
  return visitor != nullptr && visitor->thread.is_realtime();
}

std::optional<Visit> Preemptor::call(Visitor& visitor, int cpu, bool may_read_here, const ThreadWatch& watch,
                                     const std::function<void()>& reading) {
  Meeting meeting{may_read_here};
  Visit from_there;
  std::optional<Visit> from_here;
  std::optional<Turns> before;
  std::exception_ptr error;
  const std::function<void()> job = [&] {
    if (::sched_getcpu() != cpu) {
      from_there.arrival = Arrival::not_ours;
    } else if (!meeting.stay()) {
      from_there = read_on(cpu, watch, reading);
      from_there.stood_still = from_there.stood_still && ::sched_getcpu() == cpu;
    }
  };
  if (may_read_here) static_cast<void>(visitor.watch.turns());  // has it in the caches for below
  visitor.thread.start(job);
  try {
    if (meeting.await()) {
      before = visitor.watch.turns();
      from_here = read_on(cpu, watch, reading);
    }
  } catch (...) {
    error = std::current_exception();
  }
  meeting.end();
  if (!visitor.thread.finish()) return Visit{Arrival::realtime};
  if (error) std::rethrow_exception(error);
  if (!from_here) return from_there;
  if (!before || !meeting.last_cpu()) return std::nullopt;
  // It ran when it saw the end, and was given a CPU no further time since before the reading: so it had this
  // one all the time.
  const auto after = visitor.watch.turns();
  const bool was_there = after && before->times == after->times && meeting.last_cpu() == cpu;
  from_here->stood_still = from_here->stood_still && was_there;
  return from_here;
}

Visit Preemptor::visit(const ThreadWatch& watch, const ThreadPlace& place,
                       const std::function<void()>& reading) {
  if (has_ended(place)) return {Arrival::ended};
  // A realtime thread would keep us waiting on its CPU for as long as it likes.
  if (place.is_realtime) return {Arrival::realtime};
  auto* const ours = visitor_of(place.cpu);
  if (ours == nullptr) return {Arrival::not_ours};
  const auto start = Clock::now();
  auto& visitor = *ours;
  const bool may_read_here = ::sched_getcpu() != place.cpu && start >= visitor.reads_until;
  if (const auto visit = call(visitor, place.cpu, may_read_here, watch, reading)) return *visit;
  visitor.reads_until = start + long_stacks;
  auto visit = call(visitor, place.cpu, false, watch, reading).value();
  visit.since = start;
  return visit;
}

}  // namespace sampler
