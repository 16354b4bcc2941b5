#pragma once

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <optional>
#include <utility>

#include "catch.h"
#include "sampler/process/thread_watch.h"
#include "sampler/process/tracer.h"
#include "test_child.h"

namespace sampler {

inline std::atomic<std::uint64_t>* counted_signals = nullptr;

inline void count_signal(int) {
  counted_signals->fetch_add(1);
}

/// A child that counts up as fast as it can, and the SIGUSR1 it gets.
class BusyChild {
 public:
  BusyChild()
      : child_{[&] {
          counted_signals = &shared_->signals;
          ::signal(SIGUSR1, count_signal);
          for (;;) shared_->progress.fetch_add(1);
        }} {
    REQUIRE(makes_progress());
  }

  [[nodiscard]] std::uint64_t progress() const { return shared_->progress; }
  [[nodiscard]] std::uint64_t signals() const { return shared_->signals; }
  [[nodiscard]] bool makes_progress() const {
    const auto before = progress();
    return comes_true([&] { return progress() > before; });
  }
  [[nodiscard]] Pid pid() const noexcept { return child_.pid(); }
  [[nodiscard]] Tid tid() const noexcept { return child_.tid(); }
  void send(int signal) const { REQUIRE(::kill(number(pid()), signal) == 0); }
  [[nodiscard]] char state() const { return state_of(ThreadWatch{pid(), tid()}).value_or('?'); }

 private:
  SharedPage shared_;
  TestChild child_;
};

/// A child in vfork(2): it cannot stop before its own child has ended, which let_go() brings about.
class VforkingChild {
 public:
  VforkingChild()
      : child_{[&] {
          const pid_t inner = ::vfork();
          if (inner == 0) {
            ready_.give();
            (void)go_.take();
            ::_exit(0);
          }
          shared_->progress = 1;
          (void)::waitpid(inner, nullptr, 0);
          shared_->signals = 1;
          (void)go_.take();
        }} {
    REQUIRE(ready_.take());
  }
  VforkingChild(const VforkingChild&) = delete;
  VforkingChild& operator=(const VforkingChild&) = delete;
  ~VforkingChild() {
    let_go();
    (void)comes_true([&] { return shared_->signals == 1; });
  }

  void let_go() const { go_.give(); }
  [[nodiscard]] bool has_gone_on() const { return shared_->progress == 1; }
  [[nodiscard]] Tid tid() const noexcept { return child_.tid(); }

 private:
  Pipe ready_, go_;
  SharedPage shared_;
  TestChild child_;
};

/// The end or the late stop of a thread, once waitpid reports it.
inline WaitEvent next_event(Tracer& tracer, Tid tid) {
  std::optional<WaitEvent> found;
  REQUIRE(comes_true([&] {
    for (auto& event : tracer.collect()) {
      if (event.tid == tid) found.emplace(std::move(event));
    }
    return found.has_value();
  }));
  return std::move(*found);
}

}  // namespace sampler
