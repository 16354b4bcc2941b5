#include "sampler/cpython/code_cache.h"

#include <string>

#include "catch.h"
#include "fake_python.h"

namespace sampler {
namespace {

/// A version's Python and its code cache.
class Fixture {
 public:
  explicit Fixture(PythonVersion version) : python{version} {}

  /// The code object at an address as a new reading finds it.
  CodeObject* find_anew(RemoteAddress code) {
    codes.begin_reading();
    return codes.find(python.memory, code);
  }
  std::string name(CodeObject* code, RemoteAddress address) {
    return std::string{stacks.text(frame(code, address, 0).name)};
  }
  const Frame& frame(CodeObject* code, RemoteAddress address, std::int32_t index) {
    REQUIRE(code != nullptr);
    return stacks.frame(code->frame_at(python.instruction(address, index), python.layout, stacks));
  }
  /// Another code object takes the address: all pointers are the same, the name's characters are not.
  void reuse(RemoteAddress code, std::string_view name) {
    const auto text = read_as<RemoteAddress>(python.memory, code + python.name_field().offset);
    REQUIRE(text);
    python.overwrite_text(*text, name);
  }
  void set_version(RemoteAddress code, std::uint32_t version) {
    python.memory.put(code + python.layout.code.version.offset, version);
  }

  FakePython python;
  CodeCache codes{python.runtime};
  StackTable stacks;
};

}  // namespace

TEST_CASE("a code object tells the name, file and line of its frames", "[cpython]") {
  Fixture target{{3, 8}};
  const auto address =
      target.python.add_code({.name = "work", .file = "/srv/app.py", .first_line = 10, .line_table = {2, 1}});
  auto* code = target.codes.find(target.python.memory, address);
  const auto& frame = target.frame(code, address, 2);
  CHECK(frame.kind == FrameKind::python);
  CHECK(target.stacks.text(frame.name) == "work");
  CHECK(target.stacks.text(frame.file) == "/srv/app.py");
  CHECK(frame.line == 11);
}

TEST_CASE("an instruction without a line is on line 0", "[cpython]") {
  Fixture target{{3, 10}};
  const auto address = target.python.add_code({.line_table = {4, 0x80}});
  CHECK(target.frame(target.codes.find(target.python.memory, address), address, 0).line == 0);
}

TEST_CASE("a known code object is the same object in the next reading", "[cpython]") {
  Fixture target{{3, 11}};
  const auto address = target.python.add_code({});
  auto* code = target.find_anew(address);
  REQUIRE(code != nullptr);
  CHECK(target.find_anew(address) == code);
}

TEST_CASE("in one reading a code object is looked at once", "[cpython]") {
  Fixture target{{3, 11}};
  const auto address = target.python.add_code({});
  auto* code = target.find_anew(address);
  const auto reads = target.python.memory.reads;
  CHECK(target.codes.find(target.python.memory, address) == code);
  CHECK(target.python.memory.reads == reads);
}

TEST_CASE("an address used again by code of the same pointers and other text is noticed", "[cpython]") {
  Fixture target{{3, 11}};
  const auto address = target.python.add_code({.name = "one"});
  auto* first = target.find_anew(address);
  CHECK(target.name(first, address) == "one");
  target.reuse(address, "two");
  auto* second = target.find_anew(address);
  CHECK(target.name(second, address) == "two");
}

TEST_CASE("an address used again is noticed in all that a profile shows", "[cpython]") {
  Fixture target{{3, 9}};
  const auto& layout = target.python.layout;
  const auto address = target.python.add_code({.line_table = {2, 1}});
  auto* before = target.find_anew(address);
  const auto replaced = [&] {
    auto* now = target.find_anew(address);
    return now != nullptr && std::exchange(before, now) != now;
  };
  CHECK_FALSE(replaced());
  target.python.memory.put(address + layout.code.first_line.offset, std::int32_t{11});
  CHECK(replaced());
  target.python.memory.put(address + layout.code.filename.offset, target.python.add_text("/other.py"));
  CHECK(replaced());
  target.python.memory.put(address + layout.code.line_table.offset, target.python.add_bytes({4, 1}));
  CHECK(replaced());
}

TEST_CASE("pointers that moved to equal texts are the same code", "[cpython]") {
  Fixture target{{3, 9}};
  const auto address = target.python.add_code({.name = "work"});
  auto* code = target.find_anew(address);
  target.python.memory.put(address + target.python.name_field().offset, target.python.add_text("work"));
  CHECK(target.find_anew(address) == code);
}

TEST_CASE("a code object that was replaced can be used until the next tick", "[cpython]") {
  Fixture target{{3, 11}};
  const auto address = target.python.add_code({.name = "one"});
  auto* first = target.find_anew(address);
  target.reuse(address, "two");
  REQUIRE(target.find_anew(address) != first);
  CHECK(target.name(first, address) == "one");
  target.codes.begin_tick();
  CHECK(target.name(target.find_anew(address), address) == "two");
}

TEST_CASE("code of an equal version is not looked at again", "[cpython]") {
  Fixture target{{3, 12}};
  const auto address = target.python.add_code({.name = "one", .version = 77});
  auto* code = target.find_anew(address);
  target.reuse(address, "two");
  const auto reads = target.python.memory.reads;
  CHECK(target.find_anew(address) == code);
  CHECK(target.python.memory.reads == reads + 1);
}

TEST_CASE("once versions tell nothing any more, known code is looked at again, and once only", "[cpython]") {
  Fixture target{{3, 12}};
  const auto address = target.python.add_code({.name = "one", .version = 77});
  auto* code = target.find_anew(address);
  target.codes.forget_versions();
  CHECK(target.find_anew(address) == code);
  const auto reads = target.python.memory.reads;
  CHECK(target.find_anew(address) == code);
  CHECK(target.python.memory.reads == reads + 1);
  target.reuse(address, "two");
  target.codes.forget_versions();
  CHECK(target.name(target.find_anew(address), address) == "two");
}

TEST_CASE("code of another version at the same address is noticed", "[cpython]") {
  Fixture target{{3, 12}};
  const auto address = target.python.add_code({.name = "one", .version = 77});
  auto* first = target.find_anew(address);
  CHECK(target.name(first, address) == "one");
  target.reuse(address, "two");
  target.set_version(address, 78);
  CHECK(target.name(target.find_anew(address), address) == "two");
}

TEST_CASE("code without a version is compared by all that is shown of it", "[cpython]") {
  Fixture target{{3, 12}};
  const auto address = target.python.add_code({.name = "one", .version = 0});
  auto* first = target.find_anew(address);
  CHECK(target.name(first, address) == "one");
  target.reuse(address, "two");
  CHECK(target.name(target.find_anew(address), address) == "two");
}

TEST_CASE("what is no code object or cannot be read is none", "[cpython]") {
  Fixture target{{3, 11}};
  CHECK(target.find_anew({0}) == nullptr);
  CHECK(target.find_anew({0x1234}) == nullptr);
  CHECK(target.find_anew(target.python.add_text(std::string(300, 'x'))) == nullptr);
}

TEST_CASE("a code object that stops to be one is not found any more, and again when it is back",
          "[cpython]") {
  Fixture target{{3, 11}};
  const auto address = target.python.add_code({.name = "work"});
  const auto type = address + target.python.layout.object.type.offset;
  REQUIRE(target.find_anew(address) != nullptr);
  target.python.memory.put(type, RemoteAddress{0x1234});
  CHECK(target.find_anew(address) == nullptr);
  CHECK(target.codes.find(target.python.memory, address) == nullptr);
  target.python.memory.put(type, target.python.runtime.code_type);
  CHECK(target.name(target.find_anew(address), address) == "work");
}

TEST_CASE("code whose name, file or line table makes no sense is none", "[cpython]") {
  Fixture target{{3, 11}};
  const auto& code = target.python.layout.code;
  const auto no_name = target.python.add_code({});
  const auto no_file = target.python.add_code({});
  const auto no_lines = target.python.add_code({});
  const auto huge_lines = target.python.add_code({});
  target.python.memory.put(no_name + target.python.name_field().offset, RemoteAddress{});
  target.python.memory.put(no_file + code.filename.offset, RemoteAddress{0x1234});
  target.python.memory.put(no_lines + code.line_table.offset, RemoteAddress{0x1234});
  const auto table = target.python.add_bytes({});
  target.python.memory.put(table + target.python.layout.object.var_size.offset, std::int64_t{1} << 40);
  target.python.memory.put(huge_lines + code.line_table.offset, table);
  CHECK(target.find_anew(no_name) == nullptr);
  CHECK(target.find_anew(no_file) == nullptr);
  CHECK(target.find_anew(no_lines) == nullptr);
  CHECK(target.find_anew(huge_lines) == nullptr);
}

TEST_CASE("a large line table is copied once, and again where its ends differ", "[cpython]") {
  Fixture target{{3, 11}};
  const auto& layout = target.python.layout;
  // Entries of four units each, each on the next line.
  std::vector<int> table;
  while (table.size() < CodeCache::large_line_table + 3000) table.insert(table.end(), {0xDB, 2, 0});
  const auto address = target.python.add_code({.first_line = 10, .line_table = table, .units = 1 << 20});
  auto* const first = target.find_anew(address);
  REQUIRE(first != nullptr);
  const auto reads = target.python.memory.reads;
  CHECK(target.find_anew(address) == first);
  CHECK(target.python.memory.reads - reads < 12);
  const auto bytes = read_as<RemoteAddress>(target.python.memory, address + layout.code.line_table.offset);
  REQUIRE(bytes);
  target.python.memory.put(*bytes + layout.bytes.data.offset, std::uint8_t{0xD3});
  CHECK(target.find_anew(address) != first);
}

TEST_CASE("a line table that is too long to be copied leaves the first line", "[cpython]") {
  Fixture target{{3, 11}};
  const auto& layout = target.python.layout;
  const auto address = target.python.add_code({.name = "work", .first_line = 10, .line_table = {0xDB, 2, 0}});
  const auto bytes = read_as<RemoteAddress>(target.python.memory, address + layout.code.line_table.offset);
  REQUIRE(bytes);
  target.python.memory.put(*bytes + layout.object.var_size.offset,
                           static_cast<std::int64_t>(CodeCache::most_line_table_bytes + 1));
  auto* const code = target.find_anew(address);
  REQUIRE(code != nullptr);
  StackTable stacks;
  CHECK(stacks.frame(code->frame_at(target.python.instruction(address, 3), layout, stacks)).line == 10);
}

TEST_CASE("what an instruction has been seen to call is remembered", "[cpython]") {
  Fixture target{{3, 12}};
  auto* const code = target.find_anew(target.python.add_code({.version = 7}));
  REQUIRE(code != nullptr);
  CHECK_FALSE(code->calls_functions(8));
  code->note_call(8, false);
  CHECK(code->calls_functions(8));
  code->note_call(8, true);
  CHECK_FALSE(code->calls_functions(8));
}

TEST_CASE("an instruction is inside its code from one before the first unit to the last", "[cpython]") {
  Fixture target{{3, 12}};
  const auto address = target.python.add_code({.units = 10});
  const auto* code = target.find_anew(address);
  REQUIRE(code != nullptr);
  CHECK(code->contains(target.python.instruction(address, -1)));
  CHECK(code->contains(target.python.instruction(address, 0)));
  CHECK(code->contains(target.python.instruction(address, 9)));
  CHECK_FALSE(code->contains(target.python.instruction(address, 10)));
  CHECK_FALSE(code->contains(target.python.instruction(address, -2)));
  CHECK_FALSE(code->contains(0));
  CHECK_FALSE(code->contains(~std::uint64_t{0}));
}

TEST_CASE("where bytecode is an object of its own every instruction may be inside", "[cpython]") {
  Fixture target{{3, 9}};
  const auto address = target.python.add_code({});
  const auto* code = target.find_anew(address);
  REQUIRE(code != nullptr);
  CHECK(code->contains(0));
  CHECK(code->contains(0xFFFF'FFFF));
}

TEST_CASE("a cache of too many code objects starts anew at a tick", "[cpython]") {
  Fixture target{{3, 11}};
  const auto address = target.python.add_code({.name = "work"});
  REQUIRE(target.find_anew(address) != nullptr);
  for (std::uint64_t i = 0; i < CodeCache::most_codes; ++i) {
    (void)target.codes.find(target.python.memory, {0x1000 + i});
  }
  target.codes.begin_tick();
  const auto reads = target.python.memory.reads;
  CHECK(target.name(target.codes.find(target.python.memory, address), address) == "work");
  CHECK(target.python.memory.reads > reads);
}

namespace {

/// Long enough for a code object to count as lasting.
void let_last(Fixture& target, RemoteAddress address) {
  for (int i = 0; i < 8; ++i) {
    REQUIRE(target.find_anew(address) != nullptr);
    REQUIRE(target.codes.confirm(target.python.memory));
  }
}

}  // namespace

TEST_CASE("a code object that has lasted is looked at once for many readings", "[cpython]") {
  Fixture target{{3, 12}};
  const auto address = target.python.add_code({.version = 7});
  let_last(target, address);
  const int before = target.python.memory.reads;
  for (int i = 0; i < 5; ++i) {
    target.codes.begin_reading();
    CHECK(target.codes.find_lasting(target.python.memory, address) != nullptr);
  }
  CHECK(target.python.memory.reads == before);
  CHECK(target.codes.confirm(target.python.memory));
  CHECK(target.python.memory.reads > before);
}

TEST_CASE("a code object that is new is looked at in every reading", "[cpython]") {
  Fixture target{{3, 12}};
  const auto address = target.python.add_code({.version = 7});
  REQUIRE(target.find_anew(address) != nullptr);
  target.codes.begin_reading();
  const int before = target.python.memory.reads;
  CHECK(target.codes.find_lasting(target.python.memory, address) != nullptr);
  CHECK(target.python.memory.reads > before);
}

TEST_CASE(
    "a lasting code object that was replaced since proves nothing, and the next period is not concerned",
    "[cpython]") {
  for (const PythonVersion version : {PythonVersion{3, 9}, PythonVersion{3, 12}}) {
    Fixture target{version};
    target.codes.let_all_wait();
    const auto address = target.python.add_code({.name = "work", .version = 7});
    let_last(target, address);
    target.codes.begin_reading();
    REQUIRE(target.codes.find_lasting(target.python.memory, address) != nullptr);
    target.reuse(address, "krow");
    if (target.python.layout.code.version.exists()) target.set_version(address, 8);
    CHECK_FALSE(target.codes.confirm(target.python.memory));
    CHECK(target.name(target.find_anew(address), address) == "krow");
    CHECK(target.codes.confirm(target.python.memory));
  }
}

TEST_CASE(
    "that a lasting code object was replaced is known at the end of the period, however it was found out",
    "[cpython]") {
  Fixture target{{3, 12}};
  const auto address = target.python.add_code({.name = "work", .version = 7});
  let_last(target, address);
  target.codes.begin_reading();
  REQUIRE(target.codes.find_lasting(target.python.memory, address) != nullptr);
  target.set_version(address, 8);
  target.reuse(address, "krow");
  CHECK(target.name(target.find_anew(address), address) == "krow");
  target.codes.begin_tick();
  CHECK_FALSE(target.codes.confirm(target.python.memory));
}

TEST_CASE("a lasting code object in whose place is another that looks the same proves nothing", "[cpython]") {
  // What was there in between may have looked otherwise.
  Fixture target{{3, 12}};
  const auto address = target.python.add_code({.name = "work", .version = 7});
  let_last(target, address);
  target.codes.begin_reading();
  auto* const code = target.codes.find_lasting(target.python.memory, address);
  REQUIRE(code != nullptr);
  target.set_version(address, 9);
  SECTION("when it is looked at at the end of the period") {
    CHECK_FALSE(target.codes.confirm(target.python.memory));
  }
  SECTION("when it was looked at within the period") {
    CHECK(target.find_anew(address) == code);
    CHECK_FALSE(target.codes.confirm(target.python.memory));
  }
  CHECK(target.codes.confirm(target.python.memory));
  // The other one is young.
  target.codes.begin_reading();
  const int before = target.python.memory.reads;
  CHECK(target.codes.find_lasting(target.python.memory, address) == code);
  CHECK(target.python.memory.reads > before);
}

TEST_CASE("without a version a code object is looked at in every reading, however long it has lasted",
          "[cpython]") {
  Fixture target{{3, 9}};
  const auto address = target.python.add_code({});
  let_last(target, address);
  target.codes.begin_reading();
  const int before = target.python.memory.reads;
  CHECK(target.codes.find_lasting(target.python.memory, address) != nullptr);
  CHECK(target.python.memory.reads > before);
}

TEST_CASE("a code object that was replaced is waited for no more", "[cpython]") {
  Fixture target{{3, 12}};
  const auto address = target.python.add_code({.name = "work", .version = 7});
  let_last(target, address);
  auto* const replaced = target.find_anew(address);
  target.set_version(address, 8);
  target.reuse(address, "krow");
  REQUIRE(target.find_anew(address) != replaced);
  target.codes.begin_reading();
  CHECK_FALSE(target.codes.is_same(target.python.memory, *replaced));
  target.codes.begin_tick();
  CHECK(target.codes.confirm(target.python.memory));
}

}  // namespace sampler
