#include "sampler/sampler/interpreter_search.h"

#include <fmt/format.h>

#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "sampler/cpython/runtime_locator.h"
#include "sampler/process/kernel.h"
#include "sampler/process/rights.h"
#include "sampler/process/scheduling.h"

namespace sampler {
namespace {

/// Why nobody can tell which kernel thread a thread state belongs to; nothing where it can be told.
std::optional<Error> refused_threads(const Process& process, const PythonRuntime& runtime) {
  if (runtime.tid_offset || runtime.layout->thread.native_thread_id.exists()) return std::nullopt;
  return Error{
      ErrorKind::unsupported_python,
      fmt::format(
          "process {} has Python {}, and neither that nor its C library tells the numbers of its threads",
          number(process.pid()), to_string(runtime.layout->version)),
      "Pythons before 3.11 are read with glibc only, whose symbol _thread_db_pthread_tid must not be "
      "stripped: "
      "run the program with that, or with a Python from 3.11 on"};
}

/// Why threads of this Python cannot be held so; nothing where they can.
std::optional<Error> refused_hold(const Process& process, const PythonRuntime& runtime, Hold hold) {
  const bool has_gil = runtime.layout->traits.gil != GilKind::none;
  if (hold == Hold::preempt && !has_gil) {
    return Error{ErrorKind::usage,
                 "--hold preempt keeps one thread at a time from running, and without a GIL all do",
                 "use --hold ptrace, or --hold none"};
  }
  const auto refused = hold == Hold::ptrace ? try_stop() : RefusedCall{};
  if (refused.code == 0) return std::nullopt;
  return Error{ErrorKind::permission,
               fmt::format("cannot stop threads of process {}: {} is refused to sampler: {}",
                           number(process.pid()), refused.name, errno_text(refused.code)),
               fmt::format("{}; or use {}", refused_call_hint(own_rights()),
                           has_gil ? "--hold preempt, which stops nobody" : "--hold none")};
}

}  // namespace

void InterpreterSearch::note(const Error& why) {
  // That a process has ended is not why it was not sampled before.
  const bool is_end = why.kind() == ErrorKind::no_process || !process->is_alive();
  if (!is_end || !error) error = why;
}

std::optional<Error> InterpreterSearch::prepare() {
  if (found.empty()) return std::nullopt;
  const auto tid_offset = finder.tid_offset() ? finder.tid_offset() : find_tid_offset(*process);
  for (auto& runtime : found) {
    runtime.tid_offset = tid_offset;
    auto refusal = refused_hold(*process, runtime, hold);
    if (!refusal) refusal = refused_threads(*process, runtime);
    if (refusal) return refusal;
  }
  return std::nullopt;
}

void InterpreterSearch::run() {
  // Found by the search before, they may have ended since.
  for (const auto& runtime : std::exchange(found, {})) finder.take_back(runtime);
  if (!memory->is_same_program()) {
    // A new program: its memory is another, and so may be our rights to it.
    finder.forget();
    try {
      memory = std::make_shared<ProcessMemory>(*process);
    } catch (const Error& why) {
      note(why);
      return;
    }
  }
  found = finder.find(*memory);
  if (found.empty()) {
    if (finder.error()) note(*finder.error());
    return;
  }
  error = prepare();
  if (!error) return;
  found.clear();
  finder.forget();
}

void InterpreterSearch::run_for_others() {
  error.reset();
  try {
    memory = std::make_shared<ProcessMemory>(*process);
  } catch (const Error&) {
    return;  // it has ended, or become another's: whoever samples it notices
  }
  found = finder.find(*memory);
  error = prepare();
  if (error) found.clear();
}

/// What the thread and who has searches for it share.
struct SearchThread::Desk {
  std::mutex mutex;
  std::condition_variable changed;
  std::packaged_task<InterpreterSearch()> task;  ///< not valid: none to do
  bool is_ending = false;
};

SearchThread::~SearchThread() {
  if (!desk_) return;
  const std::lock_guard lock{desk_->mutex};
  desk_->is_ending = true;
  desk_->changed.notify_one();
}

std::future<InterpreterSearch> SearchThread::run(InterpreterSearch search, void (InterpreterSearch::*how)()) {
  std::packaged_task<InterpreterSearch()> task{[search = std::move(search), how]() mutable {
    (search.*how)();
    return std::move(search);
  }};
  auto result = task.get_future();
  try {
    if (!desk_) {
      const auto desk = std::make_shared<Desk>();
      std::thread{[desk, priority = priority_] { serve(desk, priority); }}.detach();
      desk_ = desk;
    }
  } catch (const std::system_error&) {
    task();  // no thread is to be had: better late than never
    return result;
  }
  const std::lock_guard lock{desk_->mutex};
  desk_->task = std::move(task);
  desk_->changed.notify_one();
  return result;
}

void SearchThread::serve(const std::shared_ptr<Desk>& desk, Priority priority) {
  if (priority == Priority::high) ask_to_be_prompt();  // as who waits for it
  std::unique_lock lock{desk->mutex};
  for (;;) {
    desk->changed.wait(lock, [&] { return desk->is_ending || desk->task.valid(); });
    if (desk->is_ending) return;
    auto task = std::move(desk->task);
    lock.unlock();
    task();
    lock.lock();
  }
}

}  // namespace sampler
