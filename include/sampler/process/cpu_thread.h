#pragma once

#include <semaphore.h>

#include <atomic>
#include <chrono>
#include <exception>
#include <functional>
#include <thread>

#include "sampler/base/ids.h"
#include "sampler/process/scheduling.h"

namespace sampler {

/// A thread of ours that runs on one CPU only, and with high priority has it at once: by realtime priority
/// where we may (CAP_SYS_NICE), else by a short time slice. It sleeps but for the jobs that it is given.
class CpuThread {
 public:
  /// A CPU that was not had for so long, because a realtime thread is on it say, is not waited for.
  static constexpr std::chrono::milliseconds patience{100};

  /// Throws std::system_error where there can be no more threads.
  explicit CpuThread(int cpu, Priority priority = Priority::high);
  CpuThread(const CpuThread&) = delete;
  CpuThread& operator=(const CpuThread&) = delete;
  ~CpuThread();

  /// The kernel's number of the thread.
  [[nodiscard]] Tid tid() const noexcept { return tid_; }

  /// Whether it has realtime priority.
  [[nodiscard]] bool is_realtime() const noexcept { return is_realtime_; }

  /// Has a job run there. It must live until finish(), which is to follow. From one thread at a time.
  void start(const std::function<void()>& job);
  /// Returns at the end of the job. False where it did not begin within `patience`: it will not. Throws what
  /// the job throws.
  [[nodiscard]] bool finish();

 private:
  void serve();

  int cpu_;
  Priority priority_;
  bool is_realtime_ = false;
  Tid tid_{};
  sem_t given_{}, done_{};
  std::atomic<bool> is_waiting_ = false;  ///< a job that nobody has taken yet: by the thread, or back
  std::atomic<bool> is_ending_ = false;
  const std::function<void()>* job_ = nullptr;
  std::exception_ptr error_;
  std::thread thread_;  // the last: it uses the others
};

}  // namespace sampler
