#pragma once

#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <new>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "catch.h"
#include "not_run.h"
#include "sampler/base/ids.h"
#include "sampler/base/unique_fd.h"
#include "sampler/process/scheduling.h"
#include "sampler/process/thread_watch.h"

namespace sampler {

/// What the kernel says that the thread does; nothing once it has ended.
[[nodiscard]] inline std::optional<char> state_of(const ThreadWatch& watch) {
  const auto place = watch.place();
  return place ? std::optional{place->state} : std::nullopt;
}

/// Asks until the answer is yes; false where it was not within ten seconds.
template <class Condition>
[[nodiscard]] bool comes_true(Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{10};
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    ::sched_yield();
  }
  return true;
}

[[nodiscard]] inline CpuSet affinity(Tid tid = Tid{0}) {
  CpuSet set{};
  REQUIRE(::sched_getaffinity(number(tid), sizeof set, set.data()) == 0);
  return set;
}

/// The CPUs that we may use.
[[nodiscard]] inline std::vector<int> our_cpus() {
  std::vector<int> cpus;
  const auto set = affinity();
  for (int cpu = 0; cpu < static_cast<int>(8 * sizeof set); ++cpu) {
    if (CPU_ISSET_S(static_cast<std::size_t>(cpu), sizeof set, set.data())) cpus.push_back(cpu);
  }
  return cpus;
}

/// Whether a thread of ours can have realtime priority.
[[nodiscard]] inline bool can_be_realtime() {
  bool can = false;
  std::thread{[&] { can = become_realtime(); }}.join();
  return can;
}

/// So many more files than now may be open, for as long as this lives.
class FewFiles {
 public:
  explicit FewFiles(rlim_t more) {
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before_) == 0);
    const UniqueFd next{::dup(STDERR_FILENO)};
    REQUIRE(next);
    const rlimit few{static_cast<rlim_t>(next.get()) + more, before_.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &few) == 0);
  }
  FewFiles(const FewFiles&) = delete;
  FewFiles& operator=(const FewFiles&) = delete;
  ~FewFiles() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

/// Kills and reaps a child of ours, unless somebody has reaped it.
class ChildGuard {
 public:
  explicit ChildGuard(pid_t pid) noexcept : pid_{pid} {}
  ChildGuard(const ChildGuard&) = delete;
  ChildGuard& operator=(const ChildGuard&) = delete;
  ~ChildGuard() { end(); }

  void end() noexcept {
    siginfo_t ended{};
    // As long as it is our child its number is its own.
    if (::waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOHANG | WNOWAIT) != 0) return;
    ::kill(pid_, SIGKILL);
    int status = 0;
    // A stop that its tracer was not told of yet comes before the end.
    while (::waitpid(pid_, &status, __WALL) == pid_ && WIFSTOPPED(status)) {
    }
  }

  [[nodiscard]] Pid pid() const noexcept { return Pid{pid_}; }
  /// Its first thread.
  [[nodiscard]] Tid tid() const noexcept { return Tid{pid_}; }

 private:
  pid_t pid_;
};

/// A forked child that does `body` and ends, at the latest with this or with the test.
class TestChild : public ChildGuard {
 public:
  template <class Body>
  explicit TestChild(Body body) : ChildGuard{start(body)} {
    REQUIRE(number(pid()) > 0);
  }

 private:
  template <class Body>
  static pid_t start(Body& body) {
    const pid_t parent = ::getpid();
    const pid_t pid = ::fork();
    if (pid != 0) return pid;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() == parent) body();
    ::_exit(0);
  }
};

/// Whether we may make a PID namespace; where not, a test that needs one is told as not run.
inline bool has_pid_namespaces() {
  const TestChild child{[] { ::_exit(::unshare(CLONE_NEWPID) == 0 ? 0 : errno); }};
  int status = 0;
  REQUIRE(::waitpid(number(child.pid()), &status, 0) == number(child.pid()));
  if (status == 0) return true;
  not_run(std::string{"PID namespaces cannot be made here: "} + std::strerror(WEXITSTATUS(status)),
          with_more_rights);
  return false;
}

/// A child whose first thread has ended, while another does `body` and ends the process.
class HeadlessChild : public ChildGuard {
 public:
  template <class Body>
  explicit HeadlessChild(Body body) : ChildGuard{start(body)} {
    REQUIRE(number(pid()) > 0);
    REQUIRE(comes_true([&] { return state_of(ThreadWatch{pid(), tid()}) == 'Z'; }));
  }

 private:
  template <class Body>
  static pid_t start(Body& body) {
    const pid_t pid = ::fork();
    if (pid != 0) return pid;
    std::thread{[&] {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      body();
      ::_exit(0);
    }}.detach();
    ::syscall(SYS_exit, 0);
    return pid;
  }
};

/// A pipe whose ends are ours and our children's.
class Pipe {
 public:
  Pipe() {
    std::array<int, 2> ends{};
    REQUIRE(::pipe(ends.data()) == 0);
    read_end = UniqueFd{ends[0]};
    write_end = UniqueFd{ends[1]};
  }

  /// Waits for one byte; false at the end of the file.
  [[nodiscard]] bool take() const {
    char byte = 0;
    return ::read(read_end.get(), &byte, 1) == 1;
  }
  void give() const { static_cast<void>(!::write(write_end.get(), "x", 1)); }

  UniqueFd read_end;
  UniqueFd write_end;
};

/// Numbers in memory that a child shares with us.
struct SharedNumbers {
  std::atomic<std::uint64_t> progress{0};
  std::atomic<std::uint64_t> signals{0};
};

/// Something in memory that a child shares with us.
template <class T>
class Shared {
 public:
  Shared() : page_{::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)} {
    REQUIRE(page_ != MAP_FAILED);
    object_ = new (page_) T;
  }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;
  ~Shared() { ::munmap(page_, sizeof(T)); }

  [[nodiscard]] T* operator->() const noexcept { return object_; }

 private:
  void* page_;
  T* object_ = nullptr;
};

using SharedPage = Shared<SharedNumbers>;

}  // namespace sampler
