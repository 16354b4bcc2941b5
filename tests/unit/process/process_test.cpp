#include "sampler/process/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <optional>

#include "catch.h"
#include "not_run.h"
#include "sampler/base/error.h"
#include "temporary_directory.h"
#include "test_child.h"

namespace sampler {
namespace {

Error error_of(Pid pid) {
  try {
    const Process process{pid};
  } catch (const Error& error) {
    return error;
  }
  FAIL("nothing was thrown");
  return Error{ErrorKind::internal, ""};
}

/// 20 fields from the state on, of which the tests look at some.
std::string stat_text(std::string_view comm) {
  return "42 (" + std::string{comm} + ") S 7 42 42 0 -1 4194560 9 0 0 0 1 2 0 0 20 0 1 0 98765 1000 5\n";
}

std::string text_of(const std::string& path) {
  std::ifstream in{path};
  return {std::istreambuf_iterator<char>{in}, {}};
}

}  // namespace

TEST_CASE("a stat text tells name, state, parent, flags and start", "[process]") {
  const auto stat = parse_stat(stat_text("python3"));
  REQUIRE(stat);
  CHECK(stat->name == "python3");
  CHECK(stat->state == 'S');
  CHECK(stat->parent == Pid{7});
  CHECK(stat->flags == 4194560);
  CHECK(stat->start_time == 98765);
}

TEST_CASE("a zombie tells how it has ended", "[process]") {
  const Pipe pipe;
  const TestChild child{[&] {
    (void)pipe.take();
    ::_exit(3);
  }};
  const Process process{child.pid()};
  CHECK_FALSE(process.exit_status());
  pipe.give();
  siginfo_t ended{};
  REQUIRE(::waitid(P_PID, static_cast<id_t>(number(child.pid())), &ended, WEXITED | WNOWAIT) == 0);
  const auto status = process.exit_status();
  REQUIRE(status);
  CHECK(WIFEXITED(*status));
  CHECK(WEXITSTATUS(*status) == 3);
}

TEST_CASE("how a process has ended that was waited for is told truly or not at all", "[process]") {
  const Pipe pipe;
  TestChild child{[&] { (void)pipe.take(); }};
  const Process process{child.pid()};
  child.end();
  // Linux 6.15 and later know it.
  if (const auto status = process.exit_status()) {
    CHECK(WIFSIGNALED(*status));
    CHECK(WTERMSIG(*status) == SIGKILL);
  }
}

TEST_CASE("a process is as old as its start time says", "[process]") {
  using namespace std::chrono_literals;
  const Pipe pipe;
  const TestChild child{[&] { (void)pipe.take(); }};
  const auto age = Process{child.pid()}.age();
  CHECK(age >= 0ms);
  CHECK(age < 10s);
  CHECK(Process{Pid{::getppid()}}.age() >= age);
}

TEST_CASE("a command's name may hold spaces, parentheses and what looks like fields", "[process]") {
  const auto stat = parse_stat(stat_text("a) R 1 (b c) "));
  REQUIRE(stat);
  CHECK(stat->name == "a) R 1 (b c) ");
  CHECK(stat->state == 'S');
  CHECK(stat->parent == Pid{7});
}

TEST_CASE("a command may have no name", "[process]") {
  const auto stat = parse_stat(stat_text(""));
  REQUIRE(stat);
  CHECK(stat->name.empty());
  CHECK(stat->state == 'S');
}

TEST_CASE("a text that is no stat text is refused", "[process]") {
  const auto whole = stat_text("x");
  CHECK_FALSE(parse_stat(""));
  CHECK_FALSE(parse_stat("42"));
  CHECK_FALSE(parse_stat("42 (x"));
  CHECK_FALSE(parse_stat("42 x) S 7"));
  CHECK_FALSE(parse_stat(")("));
  CHECK_FALSE(parse_stat("42 (x)"));
  CHECK_FALSE(parse_stat("42 (x) S 7 42\n"));
  CHECK_FALSE(parse_stat(whole.substr(0, whole.find("98765"))));
}

TEST_CASE("our own stat is that of the process we are", "[process]") {
  const auto stat = read_stat("self");
  REQUIRE(stat);
  CHECK(stat->state == 'R');
  CHECK(stat->parent == Pid{::getppid()});
  CHECK(stat->start_time > 0);
}

TEST_CASE("what is not there has no stat", "[process]") {
  CHECK_FALSE(read_stat("none"));
}

TEST_CASE("a process that is not there is an error with a cure", "[process]") {
  TestChild child{[] {}};
  child.end();
  const auto error = error_of(child.pid());
  CHECK(error.kind() == ErrorKind::no_process);
  CHECK_THAT(error.what(), Catch::Contains(std::to_string(number(child.pid()))));
  CHECK_FALSE(error.hint().empty());
}

TEST_CASE("a zombie is an error that names its parent", "[process]") {
  const TestChild child{[] {}};
  siginfo_t ended{};
  REQUIRE(::waitid(P_PID, static_cast<id_t>(number(child.pid())), &ended, WEXITED | WNOWAIT) == 0);
  const auto error = error_of(child.pid());
  CHECK(error.kind() == ErrorKind::no_process);
  CHECK_THAT(error.what(), Catch::Contains("zombie"));
  CHECK_THAT(error.hint(), Catch::Contains(std::to_string(::getpid())));
}

TEST_CASE("a kernel thread is no Python", "[process]") {
  const auto stat = read_stat("2");
  if (!stat || (stat->flags & 0x00200000U) == 0) {
    return not_run("process 2 is no kernel thread here", "outside of a container, or with its --pid=host");
  }
  const auto error = error_of(Pid{2});
  CHECK(error.kind() == ErrorKind::not_python);
  CHECK_THAT(error.what(), Catch::Contains("kernel thread"));
}

TEST_CASE("a process is alive until it ends, and dead as a zombie and after", "[process]") {
  const Pipe pipe;
  TestChild child{[&] { (void)pipe.take(); }};
  const Process process{child.pid()};
  CHECK(process.is_alive());
  pipe.give();
  siginfo_t ended{};
  REQUIRE(::waitid(P_PID, static_cast<id_t>(number(child.pid())), &ended, WEXITED | WNOWAIT) == 0);
  CHECK_FALSE(process.is_alive());
  child.end();
  CHECK_FALSE(process.is_alive());
}

TEST_CASE("a process whose first thread has ended is alive, and its files are those of another thread",
          "[process]") {
  const Pipe wait;
  HeadlessChild child{[&] { (void)wait.take(); }};
  const auto living = living_thread(child.pid());
  REQUIRE(living);
  CHECK(*living != child.tid());
  const Process process{child.pid()};
  CHECK(process.is_alive());
  std::optional<FileMapping> first;
  REQUIRE(visit_mappings(child.pid(), [&](const FileMapping& mapping) {
    first = mapping;
    return false;
  }));
  REQUIRE(first);
  CHECK(process.open_mapping(*first));
  CHECK(process.proc_path("exe") ==
        fmt::format("/proc/{}/task/{}/exe", number(child.pid()), number(*living)));
  wait.give();
  CHECK(comes_true([&] { return !process.is_alive(); }));
}

TEST_CASE("the number of a thread is no process, and leads to its own", "[process]") {
  const Pipe wait;
  HeadlessChild child{[&] { (void)wait.take(); }};
  const auto living = living_thread(child.pid());
  REQUIRE(living);
  const auto error = error_of(Pid{number(*living)});
  CHECK(error.kind() == ErrorKind::no_process);
  CHECK(error.what() == fmt::format("{} is a thread of process {}", number(*living), number(child.pid())));
  CHECK(error.hint() == fmt::format("use -p {}", number(child.pid())));
}

TEST_CASE("who is being killed or exits is ending", "[process]") {
  const auto with = [](std::string_view flags, std::string_view pending) {
    return fmt::format("42 (x) S 7 42 42 0 -1 {} 9 0 0 0 1 2 0 0 20 0 1 0 98765 1000 5 9 1 1 1 0 0 {} 0\n",
                       flags, pending);
  };
  CHECK_FALSE(parse_stat(with("4194560", "0"))->is_ending);
  CHECK_FALSE(parse_stat(with("4194560", "16384"))->is_ending);  // SIGTERM
  CHECK(parse_stat(with("4194560", "256"))->is_ending);
  CHECK(parse_stat(with("4194564", "0"))->is_ending);
}

TEST_CASE("our own program is among our mappings and can be opened through them", "[process]") {
  const Process self{Pid{::getpid()}};
  const auto here = reinterpret_cast<std::uint64_t>(&stat_text);  // NOLINT: an address as a number
  std::optional<FileMapping> found;
  REQUIRE(visit_mappings(self.pid(), [&](const FileMapping& mapping) {
    if (mapping.start.value <= here && here < mapping.end.value) found = mapping;
    return !found;
  }));
  REQUIRE(found);
  const auto file = self.open_mapping(*found);
  REQUIRE(file);
  std::array<char, 4> magic{};
  REQUIRE(::pread(file->file.get(), magic.data(), magic.size(), 0) == 4);
  CHECK(std::string_view{magic.data() + 1, 3} == "ELF");
}

TEST_CASE("a mapping whose name leads to another file is not opened by it", "[process]") {
  const Process self{Pid{::getpid()}};
  const auto file = self.open_mapping(FileMapping{
      .start = {0x1000}, .end = {0x2000}, .file_offset = 0, .inode = 1, .path = "/proc/self/status"});
  REQUIRE_FALSE(file);
  CHECK(file.error() != 0);
}

TEST_CASE("mappings beyond 16 MiB of text are seen, and keep no memory", "[process]") {
  constexpr int count = 60'000;
  constexpr std::size_t page = 4096;
  const TemporaryDirectory directory;
  std::string path = directory.path(std::string(250, 'x'));
  for (int depth = 0; depth < 2; ++depth) {
    REQUIRE(::mkdir(path.c_str(), 0700) == 0);
    path += '/' + std::string(250, 'x');
  }
  std::ofstream{path} << std::string(page, 'x');
  const Pipe ready;
  const Pipe done;
  const TestChild child{[&] {
    const int file = ::open(path.c_str(), O_RDONLY);
    for (int i = 0; i < count; ++i) {
      if (::mmap(nullptr, page, PROT_READ, MAP_PRIVATE, file, 0) == MAP_FAILED) ::_exit(1);
    }
    ready.give();
    (void)done.take();
  }};
  REQUIRE(ready.take());
  int seen = 0;
  REQUIRE(visit_mappings(child.pid(), [&](const FileMapping& mapping) {
    if (mapping.path == path) ++seen;
    return true;
  }));
  CHECK(seen == count);
}

TEST_CASE("an ended process has no mappings", "[process]") {
  const Pipe pipe;
  TestChild child{[&] { (void)pipe.take(); }};
  const Process process{child.pid()};
  const auto count = [&] {
    int seen = 0;
    static_cast<void>(visit_mappings(process.pid(), [&](auto&) { return ++seen > 0; }));
    return seen;
  };
  CHECK(count() > 0);
  child.end();
  CHECK(count() == 0);
}

TEST_CASE("nobody traces us", "[process]") {
  if (text_of("/proc/self/status").find("TracerPid:\t0\n") == std::string::npos) {
    return not_run("the test runs under a debugger", "run it without");
  }
  CHECK_FALSE(find_tracer(Process{Pid{::getpid()}}));
}

TEST_CASE("a traced process names its thread and its tracer", "[process]") {
  const Pipe wait;
  const TestChild child{[&] {
    ::prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
    (void)wait.take();
  }};
  const Pipe ready;
  const Pipe done;
  const TestChild tracer{[&] {
    if (::ptrace(PTRACE_SEIZE, number(child.pid()), nullptr, nullptr) == 0) ready.give();
    (void)done.take();
  }};
  REQUIRE(ready.take());
  const auto tracing = find_tracer(Process{child.pid()});
  REQUIRE(tracing);
  CHECK(tracing->thread == child.tid());
  CHECK(tracing->tracer == tracer.pid());
}

TEST_CASE("a child and its child are our descendants, the nearer first", "[process]") {
  REQUIRE(::prctl(PR_SET_CHILD_SUBREAPER, 1UL) == 0);
  std::optional<ChildGuard> grandchild;
  {
    const Pipe report;
    const Pipe wait;
    const TestChild child{[&] {
      const TestChild inner{[&] { (void)wait.take(); }};
      const pid_t pid = number(inner.pid());
      static_cast<void>(!::write(report.write_end.get(), &pid, sizeof pid));
      (void)wait.take();
    }};
    pid_t pid = 0;
    REQUIRE(::read(report.read_end.get(), &pid, sizeof pid) == static_cast<ssize_t>(sizeof pid));
    grandchild.emplace(pid);
    CHECK(descendants(Pid{::getpid()}) == std::vector{child.pid(), Pid{pid}});
    CHECK(descendants(child.pid()) == std::vector{Pid{pid}});
    CHECK(descendants(Pid{pid}).empty());
  }
  grandchild.reset();
  ::prctl(PR_SET_CHILD_SUBREAPER, 0UL);
}

}  // namespace sampler
