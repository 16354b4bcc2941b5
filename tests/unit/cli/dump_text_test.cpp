#include "cli/dump_text.h"

#include <array>

#include "catch.h"

namespace sampler {
namespace {

FrameId frame(StackTable& stacks, std::string_view name, std::string_view file, std::uint32_t line) {
  return stacks.intern(Frame{.name = stacks.intern(name), .file = stacks.intern(file), .line = line});
}

StackId work_stack(StackTable& stacks) {
  const auto main = stacks.push(StackId::empty, frame(stacks, "main", "/srv/app.py", 30));
  return stacks.push(main, frame(stacks, "Shop.buy", "/srv/shop.py", 12));
}

const RunInfo info{.pid = Pid{4242}, .python = {3, 11}, .working_directory = "/srv"};

std::string dump_of(const ThreadActivity& activity) {
  const std::array threads{DumpedThread{.tid = Tid{7}, .activity = activity}};
  return dump_text(threads, StackTable{}, info, {});
}

}  // namespace

TEST_CASE("a dump shows each thread's calls, the most recent first", "[cli]") {
  StackTable stacks;
  const auto stack = work_stack(stacks);
  const std::array threads{DumpedThread{.tid = Tid{4242}, .activity = {.holds_gil = true}, .stack = stack},
                           DumpedThread{.tid = Tid{4243}, .activity = {}, .stack = stacks.callers(stack)}};
  CHECK(dump_text(threads, stacks, info, {}) ==
        "process 4242, Python 3.11, most recent call first\n"
        "\n"
        "thread 4242, holds the GIL\n"
        "    Shop.buy (shop.py:12)\n"
        "    main (app.py:30)\n"
        "\n"
        "thread 4243, idle\n"
        "    main (app.py:30)\n");
}

TEST_CASE("a dump says what a thread does", "[cli]") {
  CHECK_THAT(dump_of({.holds_gil = true, .on_cpu = true}), Catch::Contains("thread 7, holds the GIL\n"));
  CHECK_THAT(dump_of({.waits_for_gil = true}), Catch::Contains("thread 7, waits for the GIL\n"));
  CHECK_THAT(dump_of({.on_cpu = true}), Catch::Contains("thread 7, on a CPU\n"));
  CHECK_THAT(dump_of({}), Catch::Contains("thread 7, idle\n"));
}

TEST_CASE("a thread without a Python frame says so", "[cli]") {
  CHECK_THAT(dump_of({}), Catch::EndsWith("thread 7, idle\n    no Python frame\n"));
}

TEST_CASE("a dump of no thread is its heading", "[cli]") {
  CHECK(dump_text({}, StackTable{}, info, {}) == "process 4242, Python 3.11, most recent call first\n");
}

TEST_CASE("a dump in Pyflame's style marks the GIL's holder and parts threads by an empty line", "[cli]") {
  StackTable stacks;
  const auto stack = work_stack(stacks);
  const std::array threads{DumpedThread{.tid = Tid{4243}, .activity = {}, .stack = stacks.callers(stack)},
                           DumpedThread{.tid = Tid{4242}, .activity = {.holds_gil = true}, .stack = stack}};
  CHECK(dump_text(threads, stacks, info, {.style = FrameStyle::pyflame}) ==
        "4243:\n"
        "/srv/app.py:main:30\n"
        "\n"
        "4242*:\n"
        "/srv/shop.py:Shop.buy:12\n"
        "/srv/app.py:main:30\n");
}

TEST_CASE("a name cannot forge a line of a dump", "[cli]") {
  StackTable stacks;
  const std::array threads{DumpedThread{
      .tid = Tid{7},
      .activity = {},
      .stack = stacks.push(StackId::empty, frame(stacks, "f\nthread 1, idle\x1b[2J", "a.py", 1))}};
  CHECK_THAT(dump_text(threads, stacks, info, {}), Catch::Contains(R"(f\nthread 1, idle\x1b[2J (a.py:1))"));
}

}  // namespace sampler
