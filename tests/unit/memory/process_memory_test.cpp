#include "sampler/memory/process_memory.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "../process/call_filter.h"
#include "../process/test_child.h"
#include "catch.h"
#include "sampler/base/error.h"
#include "test_memory.h"

namespace sampler {
namespace {

ProcessMemory our_memory() {
  return ProcessMemory{Process{Pid{::getpid()}}};
}

/// Ranges of eight bytes, one after the other from the start of `pages`, and where they go.
struct Batch {
  static constexpr std::size_t width = 8;

  Batch(const Pages& pages, std::size_t count) : bytes(count * width) {
    for (std::size_t i = 0; i < count; ++i) {
      ranges.push_back({pages.address(i * width), std::span{bytes}.subspan(i * width, width)});
    }
  }

  std::vector<std::byte> bytes;
  std::vector<RemoteRange> ranges;
  std::vector<std::uint32_t> unread{99};
};

/// A child that becomes cat once it is told to.
class ExecutingChild {
 public:
  ExecutingChild()
      : child_{[&] {
          (void)go_.take();
          ::dup2(input_.read_end.get(), STDIN_FILENO);
          ::dup2(output_.write_end.get(), STDOUT_FILENO);
          ::execl("/bin/cat", "cat", static_cast<char*>(nullptr));
        }} {}

  /// Returns once the child runs cat.
  void exec() {
    go_.give();
    input_.give();
    REQUIRE(output_.take());
  }
  void end() { child_.end(); }
  /// Ends it, but leaves a zombie.
  void kill() const {
    REQUIRE(::kill(number(child_.pid()), SIGKILL) == 0);
    siginfo_t ended{};
    REQUIRE(::waitid(P_PID, static_cast<id_t>(number(child_.pid())), &ended, WEXITED | WNOWAIT) == 0);
  }
  [[nodiscard]] Pid pid() const noexcept { return child_.pid(); }

 private:
  Pipe go_, input_, output_;
  TestChild child_;
};

/// How often we have called process_vm_readv since refuse_reads().
volatile std::sig_atomic_t reads = 0;

/// From here on each process_vm_readv of this process is counted, and told that there is no such process.
void refuse_reads() {
  struct sigaction action {};
  action.sa_flags = SA_SIGINFO;
  action.sa_sigaction = [](int, siginfo_t*, void* context) {
    reads = reads + 1;
    static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RAX] = -ESRCH;
  };
  ::sigaction(SIGSYS, &action, nullptr);
  constexpr auto load = static_cast<std::uint16_t>(BPF_LD | BPF_W | BPF_ABS);
  constexpr auto jump_if_equal = static_cast<std::uint16_t>(BPF_JMP | BPF_JEQ | BPF_K);
  constexpr auto give = static_cast<std::uint16_t>(BPF_RET | BPF_K);
  std::array<sock_filter, 4> filter{{{load, 0, 0, offsetof(seccomp_data, nr)},
                                     {jump_if_equal, 0, 1, SYS_process_vm_readv},
                                     {give, 0, 0, SECCOMP_RET_TRAP},
                                     {give, 0, 0, SECCOMP_RET_ALLOW}}};
  const sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

}  // namespace

TEST_CASE("bytes of a process are read as they are", "[memory]") {
  const Pages pages{2};
  auto memory = our_memory();
  std::array<std::byte, 100> bytes;
  REQUIRE(memory.read(pages.address(4050), bytes));
  CHECK(are_initial(bytes, 4050));
}

TEST_CASE("one value of a plain type is read", "[memory]") {
  const std::uint64_t value = 0x1122334455667788;
  auto memory = our_memory();
  const auto read = read_as<std::uint64_t>(memory, {reinterpret_cast<std::uint64_t>(&value)});  // NOLINT
  REQUIRE(read);
  CHECK(*read == value);
}

TEST_CASE("what is not mapped cannot be read, and the error says what", "[memory]") {
  Pages pages{1};
  pages.take_away(0);
  auto memory = our_memory();
  std::array<std::byte, 8> bytes;
  const auto read = memory.read(pages.address(16), bytes);
  REQUIRE_FALSE(read);
  CHECK(read.error().address == pages.address(16));
  CHECK(read.error().length == 8);
  CHECK(read.error().code == EFAULT);
}

TEST_CASE("a read that ends in what is not mapped is an error", "[memory]") {
  Pages pages{2};
  pages.take_away(1);
  auto memory = our_memory();
  std::array<std::byte, 16> bytes;
  CHECK(memory.read(pages.address(4080), bytes));
  const auto read = memory.read(pages.address(4081), bytes);
  REQUIRE_FALSE(read);
  CHECK(read.error().code == EFAULT);
}

TEST_CASE("hostile addresses are errors", "[memory]") {
  auto memory = our_memory();
  std::array<std::byte, 16> bytes;
  CHECK_FALSE(memory.read({0}, bytes));
  CHECK_FALSE(memory.read({~std::uint64_t{0}}, bytes));
  CHECK_FALSE(memory.read({0xffff'8000'0000'0000}, bytes));
}

TEST_CASE("a batch without anything unreadable is read whole", "[memory]") {
  const Pages pages{1};
  Batch batch{pages, 10};
  our_memory().read_batch(batch.ranges, batch.unread);
  CHECK(batch.unread.empty());
  CHECK(are_initial(batch.bytes, 0));
}

TEST_CASE("an empty batch reads nothing", "[memory]") {
  std::vector<std::uint32_t> unread{1};
  our_memory().read_batch({}, unread);
  CHECK(unread.empty());
}

TEST_CASE("exactly the ranges in an unmapped page are unread", "[memory]") {
  Pages pages{3};
  std::array<std::byte, 64> before, inside, after;
  const std::array ranges{RemoteRange{pages.address(100), before}, RemoteRange{pages.address(5000), inside},
                          RemoteRange{pages.address(9000), after}};
  auto memory = our_memory();
  std::vector<std::uint32_t> unread;
  pages.take_away(1);
  memory.read_batch(ranges, unread);
  CHECK(unread == std::vector<std::uint32_t>{1});
  CHECK(are_initial(before, 100));
  CHECK(are_initial(after, 9000));
}

TEST_CASE("a range that is half readable is unread and the next one read", "[memory]") {
  Pages pages{3};
  std::array<std::byte, 64> half, next;
  const std::array ranges{RemoteRange{pages.address(4090), half}, RemoteRange{pages.address(8192), next}};
  auto memory = our_memory();
  std::vector<std::uint32_t> unread;
  pages.take_away(1);
  memory.read_batch(ranges, unread);
  CHECK(unread == std::vector<std::uint32_t>{0});
  CHECK(are_initial(next, 8192));
}

TEST_CASE("a batch of unreadable ranges is unread whole", "[memory]") {
  Pages pages{1};
  Batch batch{pages, 5};
  auto memory = our_memory();
  pages.take_away(0);
  memory.read_batch(batch.ranges, batch.unread);
  CHECK(batch.unread == std::vector<std::uint32_t>{0, 1, 2, 3, 4});
}

TEST_CASE("more ranges than one call takes are read", "[memory]") {
  const Pages pages{8};
  Batch batch{pages, 4096};
  our_memory().read_batch(batch.ranges, batch.unread);
  CHECK(batch.unread.empty());
  CHECK(are_initial(batch.bytes, 0));
}

TEST_CASE("unreadable ranges are found at the edges of calls", "[memory]") {
  const Pages pages{8};
  Batch batch{pages, 4096};
  for (const std::size_t i : {0U, 1U, 1023U, 1024U, 2050U, 4095U}) batch.ranges[i].from = {64};
  our_memory().read_batch(batch.ranges, batch.unread);
  CHECK(batch.unread == std::vector<std::uint32_t>{0, 1, 1023, 1024, 2050, 4095});
  const std::span bytes{batch.bytes};
  CHECK(are_initial(bytes.subspan(2 * 8, 1021 * 8), 2 * 8));
  CHECK(are_initial(bytes.subspan(1025 * 8, 1025 * 8), 1025 * 8));
  CHECK(are_initial(bytes.subspan(2051 * 8, 2044 * 8), 2051 * 8));
}

TEST_CASE("the memory of another process is its own", "[memory]") {
  Pages pages{1};
  const Pipe ready;
  const Pipe wait;
  const TestChild child{[&] {
    pages.set(10, std::byte{0xEE});
    ready.give();
    (void)wait.take();
  }};
  REQUIRE(ready.take());
  ProcessMemory memory{Process{child.pid()}};
  const auto theirs = read_as<std::byte>(memory, pages.address(10));
  REQUIRE(theirs);
  CHECK(*theirs == std::byte{0xEE});
}

TEST_CASE("a process that has ended cannot be read", "[memory]") {
  const Pages pages{1};
  const Pipe wait;
  TestChild child{[&] { (void)wait.take(); }};
  ProcessMemory memory{Process{child.pid()}};
  REQUIRE(read_as<std::byte>(memory, pages.address(0)));
  child.end();
  const auto read = read_as<std::byte>(memory, pages.address(0));
  REQUIRE_FALSE(read);
  CHECK(read.error().code == ESRCH);
}

TEST_CASE("all of a batch is unread where the process has ended", "[memory]") {
  const Pages pages{1};
  const Pipe wait;
  TestChild child{[&] { (void)wait.take(); }};
  const ProcessMemory memory{Process{child.pid()}};
  child.end();
  Batch batch{pages, 3};
  memory.read_batch(batch.ranges, batch.unread);
  CHECK(batch.unread == std::vector<std::uint32_t>{0, 1, 2});
}

TEST_CASE("that a process has ended takes one call, however many ranges there are", "[memory]") {
  const SharedPage seen;
  const Pages pages{6};
  const ProcessMemory memory = our_memory();
  Batch batch{pages, 3000};
  const TestChild child{[&] {
    refuse_reads();
    memory.read_batch(batch.ranges, batch.unread);
    if (batch.unread.size() == batch.ranges.size()) seen->progress = static_cast<std::uint64_t>(reads);
  }};
  REQUIRE(::waitpid(number(child.pid()), nullptr, 0) == number(child.pid()));
  CHECK(seen->progress == 1);
}

TEST_CASE("memory is read by another thread once the first has ended", "[memory]") {
  Pages pages{1};
  pages.set(10, std::byte{0xEE});
  const Pipe wait;
  HeadlessChild child{[&] { (void)wait.take(); }};
  ProcessMemory memory{Process{child.pid()}};
  const auto theirs = read_as<std::byte>(memory, pages.address(10));
  REQUIRE(theirs);
  CHECK(*theirs == std::byte{0xEE});
  CHECK(memory.is_same_program());
}

TEST_CASE("the memory of a process that ends before it is opened is an error", "[memory]") {
  const Pipe wait;
  TestChild child{[&] { (void)wait.take(); }};
  const Process process{child.pid()};
  child.end();
  std::optional<ErrorKind> kind;
  try {
    const ProcessMemory memory{process};
  } catch (const Error& error) {
    kind = error.kind();
  }
  CHECK(kind == ErrorKind::no_process);
}

TEST_CASE("a process is the same program until it executes another", "[memory]") {
  ExecutingChild child;
  const ProcessMemory memory{Process{child.pid()}};
  CHECK(memory.is_same_program());
  child.exec();
  CHECK_FALSE(memory.is_same_program());
  const ProcessMemory of_cat{Process{child.pid()}};
  CHECK(of_cat.is_same_program());
}

TEST_CASE("a process that has ended is not the same program, not even as a zombie", "[memory]") {
  ExecutingChild child;
  child.exec();
  const ProcessMemory memory{Process{child.pid()}};
  REQUIRE(memory.is_same_program());
  child.kill();
  CHECK_FALSE(memory.is_same_program());
  child.end();
  CHECK_FALSE(memory.is_same_program());
}

TEST_CASE("where process_vm_readv is refused memory is read by its file", "[memory]") {
  Pages pages{3};
  const Pipe wait;
  ExecutingChild other;
  TestChild target{[&] { (void)wait.take(); }};
  const SharedPage seen;
  const TestChild us{[&] {
    if (!refuse_call(SYS_process_vm_readv)) return;
    ProcessMemory memory{Process{target.pid()}};
    Batch batch{pages, 1500};
    batch.ranges[700].from = {64};
    memory.read_batch(batch.ranges, batch.unread);
    std::array<std::byte, 8> bytes;
    const bool is_read = batch.unread == std::vector<std::uint32_t>{700} &&
                         memory.read(pages.address(4090), bytes) && are_initial(bytes, 4090) &&
                         !memory.read({64}, bytes) && !memory.read({~0ULL}, bytes);
    const ProcessMemory of_other{Process{other.pid()}};
    const bool was_same = of_other.is_same_program();
    other.exec();
    seen->progress = is_read && was_same && !of_other.is_same_program() ? 1 : 2;
  }};
  REQUIRE(::waitpid(number(us.pid()), nullptr, 0) == number(us.pid()));
  CHECK(seen->progress == 1);
}

TEST_CASE("we are the same program as ever", "[memory]") {
  CHECK(our_memory().is_same_program());
}

}  // namespace sampler
