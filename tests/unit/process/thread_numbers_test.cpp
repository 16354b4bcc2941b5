#include "sampler/process/thread_numbers.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "catch.h"
#include "test_child.h"

namespace sampler {
namespace {

std::optional<NamespaceNumbers> numbers_of(std::string_view line) {
  return parse_namespace_numbers("Name:\tpython3\nUmask:\t0022\n" + std::string{line} + "NSpgid:\t4\t3\n");
}

/// One number that a child writes; 0 where none comes within ten seconds.
pid_t receive(const Pipe& pipe) {
  pid_t value = 0;
  pollfd ready{pipe.read_end.get(), POLLIN, 0};
  const bool is_told = ::poll(&ready, 1, 10'000) == 1 &&
                       ::read(ready.fd, &value, sizeof value) == static_cast<ssize_t>(sizeof value);
  return is_told ? value : 0;
}

void send(const Pipe& pipe, pid_t value) {
  static_cast<void>(!::write(pipe.write_end.get(), &value, sizeof value));
}

/// A process that runs `body` as the first of a new PID namespace: with it, all of that namespace ends.
class NamespacedChild {
 public:
  template <class Body>
  explicit NamespacedChild(Body body) : parent_{[&] { make_namespace(body); }}, pid_{receive(told_)} {
    REQUIRE(number(pid_) > 0);
  }

  [[nodiscard]] Pid pid() const noexcept { return pid_; }

 private:
  template <class Body>
  void make_namespace(Body& body) {
    if (::unshare(CLONE_NEWPID) != 0) return send(told_, -1);
    const pid_t pid = ::fork();
    if (pid == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ready_.give();
      body();
      ::_exit(0);
    }
    if (ready_.take()) send(told_, pid);
    ::waitpid(pid, nullptr, 0);
  }

  Pipe told_;
  Pipe ready_;
  TestChild parent_;
  Pid pid_;
};

std::vector<Tid> tasks_of(Pid pid) {
  std::vector<Tid> found;
  for (const auto& entry :
       std::filesystem::directory_iterator{"/proc/" + std::to_string(number(pid)) + "/task"})
    found.push_back(Tid{std::stoi(entry.path().filename())});
  return found;
}

bool is_task_of(Pid pid, Tid tid) {
  const auto tasks = tasks_of(pid);
  return std::find(tasks.begin(), tasks.end(), tid) != tasks.end();
}

/// What a process with threads tells us and takes from us.
struct Talk {
  Pipe told;
  Pipe go;

  /// In the child: our number in our own namespace.
  void tell() const { send(told, static_cast<pid_t>(::syscall(SYS_gettid))); }
  [[nodiscard]] InnerTid hear() const {
    const auto tid = receive(told);
    REQUIRE(tid > 0);
    return InnerTid{tid};
  }
};

/// In the child: a thread that has this number in our namespace, until it is told to go.
void run_thread(pid_t wanted, const Talk& talk) {
  const UniqueFd last{::open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC)};
  const auto previous = std::to_string(wanted - 1);
  // A number becomes free a moment after its thread has ended.
  for (bool was_it = false; !was_it;) {
    if (::pwrite(last.get(), previous.data(), previous.size(), 0) < 0) return;
    std::thread{[&] {
      was_it = ::syscall(SYS_gettid) == wanted;
      if (!was_it) return;
      talk.tell();
      (void)talk.go.take();
    }}.join();
  }
}

}  // namespace

TEST_CASE("a thread of our own PID namespace has one number", "[process]") {
  CHECK(numbers_of("NSpid:\t4242\n") == NamespaceNumbers{Tid{4242}, InnerTid{4242}, false});
}

TEST_CASE("of a nested PID namespace, ours is the first number and its own the last", "[process]") {
  CHECK(numbers_of("NSpid:\t4242\t17\n") == NamespaceNumbers{Tid{4242}, InnerTid{17}, true});
  CHECK(numbers_of("NSpid:\t4242\t99\t17\t1\n") == NamespaceNumbers{Tid{4242}, InnerTid{1}, true});
}

TEST_CASE("a nested thread may have the same number in both", "[process]") {
  CHECK(numbers_of("NSpid:\t42\t42\n") == NamespaceNumbers{Tid{42}, InnerTid{42}, true});
}

TEST_CASE("a status without the line, or with none of the kernel's form, has no numbers", "[process]") {
  for (const auto* const line :
       {"", "NSpid:\n", "NSpid:\t\n", "NSpid:\t\t\n", "NSpid:\t42\t\n", "NSpid:\tx\n", "NSpid:\t42\tx\n",
        "NSpid:\t42x\n", "NSpid:\t-42\n", "NSpid:\t0\n", "NSpid:\t42\t0\n", "NSpid:\t42 17\n",
        "NSpid:\t99999999999\n", "Tgid:\t42\n", "xNSpid:\t42\n"}) {
    INFO(line);
    CHECK_FALSE(numbers_of(line));
  }
  CHECK_FALSE(parse_namespace_numbers(""));
}

TEST_CASE("the line may end the text", "[process]") {
  CHECK(parse_namespace_numbers("NSpid:\t5\t1") == NamespaceNumbers{Tid{5}, InnerTid{1}, true});
}

TEST_CASE("in our own PID namespace every number is itself, whether or not there is such a thread",
          "[process]") {
  const Pipe pipe;
  const TestChild child{[&] { (void)pipe.take(); }};
  ThreadNumbers numbers{child.pid()};
  CHECK_FALSE(numbers.is_nested());
  CHECK(numbers.ours(InnerTid{number(child.tid())}) == child.tid());
  CHECK(numbers.ours(InnerTid{1}) == Tid{1});
}

TEST_CASE("the first process of a PID namespace is number 1 there", "[process]") {
  if (!has_pid_namespaces()) return;
  const Pipe pipe;
  const NamespacedChild child{[&] { (void)pipe.take(); }};
  ThreadNumbers numbers{child.pid()};
  CHECK(numbers.is_nested());
  CHECK(numbers.ours(InnerTid{1}) == Tid{number(child.pid())});
}

TEST_CASE("a number that the process does not have is none", "[process]") {
  if (!has_pid_namespaces()) return;
  const Pipe pipe;
  const NamespacedChild child{[&] { (void)pipe.take(); }};
  ThreadNumbers numbers{child.pid()};
  CHECK(numbers.ours(InnerTid{2}) == Tid{});
  CHECK(numbers.ours(InnerTid{}) == Tid{});
  CHECK(numbers.ours(InnerTid{std::numeric_limits<pid_t>::max()}) == Tid{});
  CHECK(numbers.ours(InnerTid{number(child.pid())}) == Tid{});
}

TEST_CASE("each thread of a namespaced process has a number of ours", "[process]") {
  if (!has_pid_namespaces()) return;
  const Talk talk;
  const NamespacedChild child{[&] {
    std::vector<std::thread> threads;
    for (int i = 0; i < 5; ++i) {
      threads.emplace_back([&] {
        talk.tell();
        (void)talk.go.take();
      });
    }
    for (auto& thread : threads) thread.join();
  }};
  ThreadNumbers numbers{child.pid()};
  std::vector<Tid> found{numbers.ours(InnerTid{1})};
  for (int i = 0; i < 5; ++i) {
    numbers.begin_tick();
    found.push_back(numbers.ours(talk.hear()));
  }
  auto expected = tasks_of(child.pid());
  std::sort(found.begin(), found.end());
  std::sort(expected.begin(), expected.end());
  CHECK(found == expected);
}

TEST_CASE("the same holds where no file may be kept for a thread, and one that has ended is none",
          "[process]") {
  const Talk talk;
  const Talk first;
  const NamespacedChild child{[&] {
    (void)first.go.take();
    std::thread{[&] {
      talk.tell();
      (void)talk.go.take();
    }}.join();
    first.tell();
    (void)first.go.take();
  }};
  const FewFiles few{8};  // among the last half already
  ThreadNumbers numbers{child.pid()};
  first.go.give();
  const auto inner = talk.hear();
  const auto ours = numbers.ours(inner);
  CHECK(is_task_of(child.pid(), ours));
  CHECK(numbers.ours(inner) == ours);
  talk.go.give();
  (void)first.hear();
  numbers.begin_tick();
  CHECK(comes_true([&] { return numbers.ours(inner) == Tid{}; }));
}

TEST_CASE("a new thread is unknown until the list may be looked at again", "[process]") {
  if (!has_pid_namespaces()) return;
  const Talk talk;
  const NamespacedChild child{[&] {
    (void)talk.go.take();
    std::thread{[&] {
      talk.tell();
      (void)talk.go.take();
    }}.join();
  }};
  ThreadNumbers numbers{child.pid()};
  REQUIRE(numbers.ours(InnerTid{1}) != Tid{});
  talk.go.give();
  const auto inner = talk.hear();
  CHECK(numbers.ours(inner) == Tid{});
  CHECK(numbers.ours(InnerTid{1}) != Tid{});
  numbers.begin_tick();
  CHECK(is_task_of(child.pid(), numbers.ours(inner)));
}

TEST_CASE("a number that is used again is the new thread's", "[process]") {
  if (!has_pid_namespaces()) return;
  const Talk talk;
  const NamespacedChild child{[&] {
    run_thread(2, talk);
    (void)talk.go.take();
    run_thread(2, talk);
  }};
  ThreadNumbers numbers{child.pid()};
  const auto inner = talk.hear();
  const auto first = numbers.ours(inner);
  REQUIRE(is_task_of(child.pid(), first));
  talk.go.give();
  REQUIRE(comes_true([&] { return numbers.ours(inner) == Tid{}; }));
  talk.go.give();
  REQUIRE(talk.hear() == inner);
  numbers.begin_tick();
  const auto second = numbers.ours(inner);
  CHECK(second != first);
  CHECK(is_task_of(child.pid(), second));
}

TEST_CASE("of a process that has ended nothing is known", "[process]") {
  if (!has_pid_namespaces()) return;
  const Pipe pipe;
  std::optional<NamespacedChild> child{std::in_place, [&] { (void)pipe.take(); }};
  ThreadNumbers numbers{child->pid()};
  REQUIRE(numbers.ours(InnerTid{1}) != Tid{});
  pipe.give();
  CHECK(comes_true([&] { return numbers.ours(InnerTid{1}) == Tid{}; }));
  numbers.begin_tick();
  CHECK(numbers.ours(InnerTid{1}) == Tid{});
}

}  // namespace sampler
