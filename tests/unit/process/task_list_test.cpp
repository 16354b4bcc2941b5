#include "sampler/process/task_list.h"

#include <unistd.h>

#include "catch.h"
#include "test_child.h"

namespace sampler {

TEST_CASE("a process has its threads as soon as they begin, and no longer than they live", "[process]") {
  const Pid own{::getpid()};
  TaskList tasks{own};
  tasks.look();
  CHECK(tasks.has(Tid{number(own)}));
  CHECK_FALSE(tasks.has(Tid{}));
  CHECK_FALSE(tasks.has(Tid{1 << 22}));
  const auto before = tasks.size();
  const Pipe told;
  const Pipe wait;
  std::atomic<pid_t> tid = 0;
  std::thread thread{[&] {
    tid = ::gettid();
    told.give();
    (void)wait.take();
  }};
  REQUIRE(told.take());
  CHECK(tasks.has(Tid{tid.load()}));  // it has begun since the look
  tasks.look();
  CHECK(tasks.size() == before + 1);
  wait.give();
  thread.join();
  // The kernel may take a moment longer to forget it.
  CHECK(comes_true([&] {
    tasks.look();
    return !tasks.has(Tid{tid.load()}) && tasks.size() == before;
  }));
}

TEST_CASE("a first thread that has ended is none of its process's", "[process]") {
  const Pipe wait;
  const HeadlessChild child{[&] { (void)wait.take(); }};
  TaskList tasks{child.pid()};
  tasks.look();
  CHECK(tasks.size() == 1);
  CHECK_FALSE(tasks.has(child.tid()));
}

}  // namespace sampler
