#include <algorithm>
#include <initializer_list>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "catch.h"
#include "sampler/export/format_registry.h"

namespace sampler {
namespace {

struct Call {
  std::string_view name;
  std::string_view file;
  std::uint32_t line;
};

class Recording {
 public:
  explicit Recording(const FormatOptions& options = {}) : sink_{format_for_file("").open(options)} {
    sink_->begin(RunInfo{.pid = Pid{1}, .python = {}, .working_directory = "/srv"});
  }

  StackId stack(std::initializer_list<Call> calls) {
    auto id = StackId::empty;
    for (const auto& [name, file, line] : calls) {
      id = stacks_.push(id, stacks_.intern(Frame{
                                .name = stacks_.intern(name), .file = stacks_.intern(file), .line = line}));
    }
    return id;
  }

  StackId mark(StackId callers, std::string_view name) {
    return stacks_.push(callers,
                        stacks_.intern(Frame{.kind = FrameKind::mark, .name = stacks_.intern(name)}));
  }

  void add(StackId stack, std::uint64_t count = 1, int tid = 7) {
    sink_->add(Sample{.pid = Pid{1}, .tid = Tid{tid}, .stack = stack, .count = count, .activity = {}});
  }

  [[nodiscard]] std::string text() const {
    std::ostringstream out;
    sink_->write(out, RunSummary{}, stacks_);
    return out.str();
  }

 private:
  StackTable stacks_;
  std::unique_ptr<ProfileSink> sink_;
};

std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream in{text};
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

}  // namespace

TEST_CASE("a profile without samples is empty", "[export]") {
  CHECK(Recording{}.text().empty());
}

TEST_CASE("equal stacks of all threads are one line, root first", "[export]") {
  Recording recording;
  const auto stack = recording.stack({{"main", "/srv/a.py", 9}, {"work", "/srv/a.py", 2}});
  recording.add(stack, 1, 7);
  recording.add(stack, 2, 8);
  CHECK(recording.text() == "main (a.py:9);work (a.py:2) 3\n");
}

TEST_CASE("a stack that other stacks go on from has a line of its own", "[export]") {
  Recording recording;
  recording.add(recording.stack({{"main", "a", 1}, {"work", "a", 2}}));
  recording.add(recording.stack({{"main", "a", 1}}), 5);
  CHECK(recording.text() == "main (a:1) 5\nmain (a:1);work (a:2) 1\n");
}

TEST_CASE("writing again gives all samples so far", "[export]") {
  Recording recording;
  const auto stack = recording.stack({{"main", "a", 1}});
  recording.add(stack);
  CHECK(recording.text() == "main (a:1) 1\n");
  recording.add(stack);
  CHECK(recording.text() == "main (a:1) 2\n");
}

TEST_CASE("lines that coincide without line numbers are summed", "[export]") {
  Recording recording{{.line_numbers = false}};
  recording.add(recording.stack({{"main", "a", 1}, {"work", "a", 2}}), 3);
  recording.add(recording.stack({{"main", "a", 8}, {"work", "a", 9}}), 4);
  CHECK(recording.text() == "main (a);work (a) 7\n");
}

TEST_CASE("a root frame per thread keeps threads apart", "[export]") {
  Recording recording{{.thread_roots = true}};
  const auto stack = recording.stack({{"main", "a", 1}, {"work", "a", 2}});
  recording.add(stack, 1, 4242);
  recording.add(stack, 2, 500);
  CHECK(recording.text() == "(thread 4242);main (a:1);work (a:2) 1\n(thread 500);main (a:1);work (a:2) 2\n");
}

TEST_CASE("Pyflame's style has no frame per thread", "[export]") {
  Recording recording{{.style = FrameStyle::pyflame, .thread_roots = true}};
  const auto stack = recording.stack({{"main", "/srv/a.py", 1}});
  recording.add(stack, 1, 4242);
  recording.add(stack, 2, 500);
  CHECK(recording.text() == "/srv/a.py:main:1 3\n");
}

TEST_CASE("an idle tick is a line in Pyflame's style only", "[export]") {
  Recording pyflame{{.style = FrameStyle::pyflame}};
  pyflame.add(StackId::empty, 4);
  CHECK(pyflame.text() == "(idle) 4\n");
  Recording plain;
  plain.add(StackId::empty, 4);
  CHECK(plain.text().empty());
}

TEST_CASE("a mark stands where it was found", "[export]") {
  Recording recording;
  recording.add(recording.mark(recording.stack({{"main", "a", 1}}), "<unreadable>"));
  CHECK(recording.text() == "main (a:1);<unreadable> 1\n");
}

TEST_CASE("files shortened alike keep their full paths in the profile", "[export]") {
  Recording recording;
  recording.add(
      recording.stack({{"f", "/srv/os.py", 1}, {"g", "/usr/lib/python3.9/os.py", 1}, {"h", "/srv/a.py", 1}}));
  CHECK(recording.text() == "f (/srv/os.py:1);g (/usr/lib/python3.9/os.py:1);h (a.py:1) 1\n");
}

TEST_CASE("targets in different directories are not shortened by any", "[export]") {
  StackTable stacks;
  const auto sink = format_for_file("").open({});
  sink->begin(RunInfo{.pid = Pid{1}, .python = {}, .working_directory = "/srv/a"});
  sink->begin(RunInfo{.pid = Pid{2}, .python = {}, .working_directory = "/srv/b"});
  const auto frame =
      stacks.intern(Frame{.name = stacks.intern("f"), .file = stacks.intern("/srv/a/x.py"), .line = 1});
  sink->add(
      Sample{.pid = Pid{1}, .tid = Tid{1}, .stack = stacks.push(StackId::empty, frame), .activity = {}});
  std::ostringstream out;
  sink->write(out, RunSummary{}, stacks);
  CHECK(out.str() == "f (/srv/a/x.py:1) 1\n");
}

TEST_CASE("lines are in the order of their bytes, counts included", "[export]") {
  Recording recording{{.style = FrameStyle::pyflame, .line_numbers = false}};
  recording.add(recording.stack({{"f", "a", 1}}), 12);
  recording.add(recording.stack({{"f 1b", "a", 1}}), 3);
  recording.add(recording.stack({{"f 12b", "a", 1}}), 3);
  recording.add(recording.stack({{"f 13b", "a", 1}, {"g", "a", 1}}), 3);
  recording.add(recording.stack({{"f", "a", 1}, {"g", "a", 1}}), 2);
  recording.add(recording.stack({{"f", "a", 1}, {"g", "a", 1}, {"h", "a", 1}}), 10);
  recording.add(recording.stack({{"f", "a", 1}, {"g2", "a", 1}}), 9);
  recording.add(recording.stack({{"f<", "a", 1}}), 1);
  recording.add(recording.stack({{"f!", "a", 1}, {"g", "a", 1}}), 1);
  recording.add(recording.stack({{"é", "a", 1}}), 1);
  recording.add(recording.stack({{"Z", "a", 1}}), 1);
  const auto lines = lines_of(recording.text());
  auto sorted = lines;
  std::sort(sorted.begin(), sorted.end());
  CHECK(lines.size() == 11);
  CHECK(lines == sorted);
}

TEST_CASE("Pyflame's own tests would take every line of its style", "[export]") {
  Recording recording{{.style = FrameStyle::pyflame}};
  recording.add(
      recording.stack({{"main", "./tests/sleeper.py", 31}, {"a:b;c\n 12", "C:\\x y 3", 0}, {"", "", 1}}));
  const std::regex line{R"(((?:[^:]+:[^:]+:\d+)(?:;[^:]+:[^:]+:\d+)*) (\d+))"};
  const auto lines = lines_of(recording.text());
  REQUIRE(lines.size() == 1);
  CHECK(std::regex_match(lines.front(), line));
}

TEST_CASE("no stack can add a line, a frame or a count to the file", "[export]") {
  Recording recording;
  recording.add(recording.stack({{"a;b\nc 5\n", ";\r\n 12", 1}}), 2);
  const auto text = recording.text();
  CHECK(std::count(text.begin(), text.end(), '\n') == 1);
  CHECK(text.find(';') == std::string::npos);
  CHECK(text.ends_with(") 2\n"));
}

}  // namespace sampler
