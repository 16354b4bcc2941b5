#include <random>
#include <vector>

#include "catch.h"
#include "walk.h"

namespace sampler {
namespace {

/// A thread that calls and returns, its frames side by side as on a data stack, or scattered.
class Program {
 public:
  static constexpr std::size_t most = 120;

  Program(PythonVersion version, std::uint64_t gap)
      : python{version}, gap_{gap}, area_{python.memory.add(most * (python.layout.frame.size + gap))} {
    for (int i = 0; i < 6; ++i)
      codes_.push_back(python.add_code({.name = names[static_cast<std::size_t>(i)],
                                        .first_line = 10 * i,
                                        .version = static_cast<std::uint32_t>(i + 1)}));
    state_ = python.add_thread({});
    call(0, 1);
  }

  void call(std::size_t code, std::int32_t at) {
    if (frames_.size() == most) return;
    const auto place = area_ + frames_.size() * (python.layout.frame.size + gap_);
    python.put_frame(place, codes_[code], frames_.empty() ? root_ : frames_.back(), at);
    frames_.push_back(place);
    lead_to_innermost();
  }
  /// From here on another evaluation loop calls: a new cframe, whose caller is that of before.
  void begin_loop() {
    const auto& layout = python.layout;
    const auto outer = read_as<RemoteAddress>(python.memory, state_ + layout.thread.cframe.offset);
    REQUIRE(outer);
    python.memory.put(state_ + layout.thread.cframe.offset, python.add_cframe(frames_.back(), *outer));
  }
  void return_from_call() {
    if (frames_.size() == 1) return;
    frames_.pop_back();
    lead_to_innermost();
  }
  /// What nothing of a call's own can bring about: another frame on the way to the root goes on.
  void move_caller(std::size_t depth, std::int32_t at) {
    const auto i = depth % frames_.size();
    python.put_frame(frames_[i], codes_[0], i == 0 ? root_ : frames_[i - 1], at);
  }
  /// Something lies between two frames, and changes.
  void change_gap(std::size_t depth) {
    const auto place = frames_[depth % frames_.size()] + python.layout.frame.size;
    const auto value = read_as<std::uint32_t>(python.memory, place);
    REQUIRE(value);
    python.memory.put(place, *value + 1);
  }
  /// Another code object takes the address of one that is in use.
  void replace_code(std::size_t code, std::string_view name) {
    const auto text = read_as<RemoteAddress>(python.memory, codes_[code] + python.name_field().offset);
    REQUIRE(text);
    python.overwrite_text(*text, name);
  }
  /// The code objects have been the same for long enough to be looked at later.
  void let_codes_last() {
    for (int i = 0; i < 8; ++i) {
      codes.begin_reading();
      for (const auto code : codes_) static_cast<void>(codes.find(python.memory, code));
      static_cast<void>(codes.confirm(python.memory));
    }
  }

  /// One sample: the stack as this and as a walk of all of it find it.
  std::pair<StackId, StackId> sample() {
    codes.begin_tick();
    codes.begin_reading();
    stack.walk(python.memory, python.runtime, codes, state_);
    const auto found = stack.decode(python.layout, stacks);
    codes.begin_reading();
    const auto whole = walk_frames(python.memory, python.runtime, codes, state_);
    const auto expected = decode_stack(whole, python.layout, stacks);
    python.memory.end_sample();
    return {found, expected};
  }
  [[nodiscard]] RemoteAddress state() const noexcept { return state_; }
  [[nodiscard]] std::size_t depth() const noexcept { return frames_.size(); }
  [[nodiscard]] RemoteAddress innermost() const { return frames_.back(); }
  [[nodiscard]] RemoteAddress root() const { return frames_.front(); }

  FakePython python;
  CodeCache codes{python.runtime};
  StackTable stacks;
  ThreadStack stack;

 private:
  static constexpr std::array<std::string_view, 6> names{"main", "work", "leaf", "call", "loop", "calc"};

  void lead_to_innermost() { python.lead_to(state_, frames_.back()); }

  std::uint64_t gap_;
  RemoteAddress root_ = python.add_root();
  RemoteAddress area_;
  RemoteAddress state_;
  std::vector<RemoteAddress> codes_;
  std::vector<RemoteAddress> frames_;  // root first
};

}  // namespace

TEST_CASE("a stack that goes on from sample to sample is what a walk of all of it finds", "[cpython]") {
  constexpr std::array<PythonVersion, 5> versions{{{2, 7}, {3, 9}, {3, 11}, {3, 12}, {3, 14}}};
  std::mt19937 random{20261121};
  for (const auto version : versions) {
    for (const std::uint64_t gap : {16U, 2000U}) {
      Program program{version, gap};
      for (int i = 0; i < 2000; ++i) {
        for (auto steps = random() % 4; steps > 0; --steps) {
          if (random() % 2 == 0) {
            program.call(random() % 6, static_cast<std::int32_t>(random() % 3));
          } else {
            program.return_from_call();
          }
        }
        if (random() % 50 == 0) program.move_caller(random(), static_cast<std::int32_t>(random() % 3));
        if (random() % 3 == 0) program.change_gap(random());
        const auto [found, expected] = program.sample();
        REQUIRE(found == expected);
      }
    }
  }
}

TEST_CASE("a code object that takes the address of another is noticed below frames that have not changed",
          "[cpython]") {
  Program program{{3, 9}, 16};
  program.call(1, 1);
  program.call(2, 1);
  for (int i = 0; i < 3; ++i) static_cast<void>(program.sample());
  program.replace_code(0, "niam");
  const auto [found, expected] = program.sample();
  CHECK(found == expected);
}

TEST_CASE("what has changed only is read", "[cpython]") {
  Program program{{3, 12}, 16};
  while (program.depth() < Program::most) program.call(1, 1);
  program.let_codes_last();
  static_cast<void>(program.sample());
  program.return_from_call();
  static_cast<void>(program.sample());
  program.codes.begin_reading();
  program.call(2, 1);
  const int before = program.python.memory.reads;
  program.stack.walk(program.python.memory, program.python.runtime, program.codes, program.state());
  CHECK(program.python.memory.reads - before < 12);
}

TEST_CASE("what has changed between two frames is nothing to them", "[cpython]") {
  Program program{{2, 7}, 16};
  while (program.depth() < Program::most) program.call(1, 1);
  program.let_codes_last();
  static_cast<void>(program.sample());
  program.change_gap(2);
  program.change_gap(60);
  program.codes.begin_reading();
  const int before = program.python.memory.reads;
  program.stack.walk(program.python.memory, program.python.runtime, program.codes, program.state());
  CHECK(program.python.memory.reads - before < 20);
}

TEST_CASE("a stack that was forgotten is walked whole", "[cpython]") {
  Program program{{3, 12}, 16};
  program.call(1, 1);
  static_cast<void>(program.sample());
  program.move_caller(0, 2);
  program.python.memory.end_sample();
  program.stack.forget();
  const auto [found, expected] = program.sample();
  CHECK(found == expected);
}

TEST_CASE("of a thread that runs, frames that have returned since are no part of the stack", "[cpython]") {
  Program program{{3, 14}, 16};
  program.call(1, 1);
  const auto [expected, whole] = program.sample();
  REQUIRE(expected == whole);
  program.call(2, 1);
  program.python.memory.put(program.innermost() + program.python.layout.frame.executable.offset,
                            RemoteAddress{});
  program.codes.begin_reading();
  program.stack.walk(program.python.memory, program.python.runtime, program.codes, program.state(),
                     Motion::possible);
  CHECK(program.stack.end() == StackEnd::complete);
  CHECK(program.stack.decode(program.python.layout, program.stacks) == expected);
}

TEST_CASE("of a thread that runs, what makes no sense leaves the part that has not changed, as torn",
          "[cpython]") {
  Program program{{3, 12}, 16};
  program.call(1, 1);
  const auto callers = program.sample().first;
  program.call(2, 1);
  program.python.memory.put(program.innermost() + program.python.layout.frame.executable.offset,
                            RemoteAddress{8});
  program.codes.begin_reading();
  program.stack.walk(program.python.memory, program.python.runtime, program.codes, program.state(),
                     Motion::possible);
  CHECK(program.stack.end() == StackEnd::torn);
  const auto id = program.stack.decode(program.python.layout, program.stacks);
  CHECK(program.stacks.callers(id) == callers);
  CHECK(program.stacks.text(program.stacks.frame(program.stacks.leaf(id)).name) == "<torn>");
}

TEST_CASE("of a thread that runs, a circle of callers was torn", "[cpython]") {
  Program program{{3, 9}, 16};
  program.call(1, 1);
  program.call(2, 1);
  static_cast<void>(program.sample());
  program.python.set_previous(program.root(), program.innermost());
  program.codes.begin_reading();
  program.stack.walk(program.python.memory, program.python.runtime, program.codes, program.state(),
                     Motion::possible);
  CHECK(program.stack.end() == StackEnd::torn);
}

TEST_CASE("an evaluation loop that calls deeper than the search goes is still the stack", "[cpython]") {
  for (const PythonVersion version : {PythonVersion{3, 11}, PythonVersion{3, 12}}) {
    Program program{version, 16};
    program.call(1, 1);
    program.begin_loop();
    while (program.depth() < Program::most) program.call(2, 1);
    for (int i = 0; i < 4; ++i) {
      const auto [found, expected] = program.sample();
      CHECK(found == expected);
    }
  }
}

}  // namespace sampler
