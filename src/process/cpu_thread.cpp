#include "sampler/process/cpu_thread.h"

#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <utility>

#include "sampler/process/scheduling.h"

namespace sampler {
namespace {

using namespace std::chrono_literals;

/// Longer than a read takes. To spin is for the sake of the time until we go on: to be woken on a CPU that
/// has gone idle takes 50 us here.
constexpr auto longest_spin = 100us;

void wait_for(sem_t& semaphore) noexcept {
  while (::sem_wait(&semaphore) != 0 && errno == EINTR) {
  }
}

bool spin_for(sem_t& semaphore) noexcept {
  const auto end = std::chrono::steady_clock::now() + longest_spin;
  while (::sem_trywait(&semaphore) != 0) {
    if (std::chrono::steady_clock::now() > end) return false;
  }
  return true;
}

bool wait_for(sem_t& semaphore, std::chrono::nanoseconds time) noexcept {
  // libstdc++'s steady_clock is CLOCK_MONOTONIC.
  const auto moment = (std::chrono::steady_clock::now() + time).time_since_epoch();
  const timespec end{std::chrono::duration_cast<std::chrono::seconds>(moment).count(), (moment % 1s).count()};
  int result = 0;
  do {
    result = ::sem_clockwait(&semaphore, CLOCK_MONOTONIC, &end);
  } while (result != 0 && errno == EINTR);
  return result == 0;
}

}  // namespace

CpuThread::CpuThread(int cpu, Priority priority) : cpu_{cpu}, priority_{priority} {
  ::sem_init(&given_, 0, 0);
  ::sem_init(&done_, 0, 0);
  thread_ = std::thread{[this] { serve(); }};
  wait_for(done_);
}

CpuThread::~CpuThread() {
  is_ending_ = true;
  ::sem_post(&given_);
  thread_.join();
  ::sem_destroy(&given_);
  ::sem_destroy(&done_);
}

void CpuThread::start(const std::function<void()>& job) {
  job_ = &job;
  is_waiting_ = true;
  ::sem_post(&given_);
}

bool CpuThread::finish() {
  // On our own CPU it could not begin while we spin, as an ordinary thread.
  const bool is_done = (::sched_getcpu() != cpu_ && spin_for(done_)) || wait_for(done_, patience);
  if (!is_done) {
    if (is_waiting_.exchange(false)) return false;
    wait_for(done_);
  }
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
  return true;
}

void CpuThread::serve() {
  tid_ = Tid{::gettid()};
  if (priority_ == Priority::high) {
    is_realtime_ = become_realtime();
    if (!is_realtime_) ask_to_be_prompt();
  }
  ::sem_post(&done_);  // before the CPU, which may not be had for a while
  run_on(cpu_);
  for (;;) {
    wait_for(given_);
    if (is_ending_) return;
    if (!is_waiting_.exchange(false)) continue;  // taken back
    // It may have been moved, by a cpuset or because the CPU had gone for a while.
    if (::sched_getcpu() != cpu_) run_on(cpu_);
    try {
      (*job_)();
    } catch (...) {
      error_ = std::current_exception();
    }
    ::sem_post(&done_);
  }
}

}  // namespace sampler
