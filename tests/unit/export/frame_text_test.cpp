#include "sampler/export/frame_text.h"

#include <regex>
#include <set>

#include "catch.h"

namespace sampler {
namespace {

constexpr FormatOptions plain{};
constexpr FormatOptions pyflame{.style = FrameStyle::pyflame};
constexpr FormatOptions bare{.line_numbers = false};
constexpr FormatOptions bare_pyflame{.style = FrameStyle::pyflame, .line_numbers = false};

std::string text(std::string_view name, std::string_view file, std::uint32_t line,
                 const FormatOptions& options) {
  return frame_text(Frame{.line = line}, name, file, options);
}

}  // namespace

TEST_CASE("a frame in the sampler's style is its name, file and line", "[export]") {
  CHECK(text("Shop.buy", "shop.py", 12, plain) == "Shop.buy (shop.py:12)");
}

TEST_CASE("a frame without a line has no colon", "[export]") {
  CHECK(text("f", "a.py", 0, plain) == "f (a.py)");
}

TEST_CASE("line numbers can be left out in both styles", "[export]") {
  CHECK(text("f", "a.py", 12, bare) == "f (a.py)");
  CHECK(text("f", "a.py", 12, bare_pyflame) == "a.py:f");
}

TEST_CASE("a frame in Pyflame's style is its file, name and line, which may be 0", "[export]") {
  CHECK(text("f", "/srv/a.py", 12, pyflame) == "/srv/a.py:f:12");
  CHECK(text("f", "/srv/a.py", 0, pyflame) == "/srv/a.py:f:0");
}

TEST_CASE("a mark is its name in every style", "[export]") {
  const Frame mark{.kind = FrameKind::mark};
  CHECK(frame_text(mark, "<too deep>", "", plain) == "<too deep>");
  CHECK(frame_text(mark, "<unreadable>", "", pyflame) == "<unreadable>");
}

TEST_CASE("a Python function that is named like a mark is told from it", "[export]") {
  CHECK(text("<too deep>", "a.py", 1, plain) == "<too deep> (a.py:1)");
  CHECK(text("<too deep>", "a.py", 1, bare_pyflame) == "a.py:<too deep>");
}

TEST_CASE("what would break a line is escaped", "[export]") {
  CHECK(escape_text("a;b") == R"(a\x3bb)");
  CHECK(escape_text("a\nb\rc\td") == R"(a\nb\rc\td)");
  CHECK(escape_text(std::string_view{"\0\x1b\x7f", 3}) == R"(\x00\x1b\x7f)");
  CHECK(escape_text(R"(C:\n)") == R"(C:\\n)");
}

TEST_CASE("line separators and spaces beyond ASCII are escaped", "[export]") {
  CHECK(escape_text("\u0085\u009f\u00a0") == R"(\x85\x9f\xa0)");
  CHECK(escape_text("a\u2028b\u2029c\u3000d\u2003e\ufefff") == R"(a\u2028b\u2029c\u3000d\u2003e\ufefff)");
}

TEST_CASE("other text of any script is left alone", "[export]") {
  CHECK(escape_text("låtìÑ1 日本語 ฟังก์ชัน 🐍") == "låtìÑ1 日本語 ฟังก์ชัน 🐍");
}

TEST_CASE("a cut UTF-8 sequence is not read past its end", "[export]") {
  CHECK(escape_text("a\xe2\x80") == "a\xe2\x80");
}

TEST_CASE("a frame never ends in what flamegraph.pl takes for a count", "[export]") {
  CHECK(text("f 12", "a.py", 1, bare_pyflame) == R"(a.py:f\x2012)");
  CHECK(text("f 1.5", "a.py", 1, bare_pyflame) == R"(a.py:f\x201.5)");
  CHECK(text("f 1.", "a.py", 1, bare_pyflame) == R"(a.py:f\x201.)");
  CHECK(text("f  7", "a.py", 1, bare_pyflame) == R"(a.py:f \x207)");
  CHECK(text("f \u0663", "a.py", 1, bare_pyflame) == "a.py:f\\x20\u0663");
  CHECK(text("f 12", "a.py", 1, plain) == "f 12 (a.py:1)");
  CHECK(text("f 12b", "a.py", 1, bare_pyflame) == "a.py:f 12b");
}

TEST_CASE("a frame neither starts nor ends with a space", "[export]") {
  CHECK(text(" f", "a.py", 1, plain) == R"(\x20f (a.py:1))");
  CHECK(text("f", "  a.py", 1, pyflame) == R"(\x20 a.py:f:1)");
  CHECK(text("f ", "a.py", 1, bare_pyflame) == R"(a.py:f\x20)");
}

TEST_CASE("a frame never starts like a comment", "[export]") {
  CHECK(text("#f", "a.py", 1, plain) == R"(\x23f (a.py:1))");
  CHECK(text("f", "#a.py", 1, pyflame) == R"(\x23a.py:f:1)");
}

TEST_CASE("an empty name or file has a placeholder that nothing else is written as", "[export]") {
  CHECK(text("", "", 1, plain) == "<unnamed> (<unnamed>:1)");
  CHECK(text("", "", 1, pyflame) == "<unnamed>:<unnamed>:1");
  CHECK(text("<unnamed>", "a.py", 1, plain) == R"(\x3cunnamed> (a.py:1))");
}

TEST_CASE("colons in names do not look like Pyflame's own", "[export]") {
  CHECK(text("a:b", "c:d", 1, pyflame) == R"(c\x3ad:a\x3ab:1)");
}

TEST_CASE("frames that differ have texts that differ", "[export]") {
  CHECK(text("a", "b (c", 1, plain) == "a (b (c:1)");
  CHECK(text("a (b", "c", 1, plain) == R"(a\x20(b (c:1))");
  CHECK(text("f", "a:3", 0, plain) == R"(f (a\x3a3))");
  CHECK(text("f", "a:3", 5, plain) == R"(f (a\x3a3:5))");
  CHECK(text("f", "a", 3, plain) == "f (a:3)");
  CHECK(text("a\nb", "f", 1, plain) != text("a\\nb", "f", 1, plain));
  CHECK(text("a;b", "f", 1, plain) != text("a\\x3bb", "f", 1, plain));
}

TEST_CASE("every pair of hostile names and files has a text of its own that Pyflame's readers take",
          "[export]") {
  const std::regex frame{R"([^:;]+:[^:;]+:\d+)"};
  const std::vector<std::string> hostile{"",   " ",   "#",    ":",         ";",   "a",     "a ",
                                         " a", "a:1", "a (b", "(a",        "a\\", "\\a",   "\n",
                                         "\t", "a 1", "a 1.", "<unnamed>", "a;b", "\u2028"};
  std::set<std::string> plain_texts;
  std::set<std::string> pyflame_texts;
  for (const auto& name : hostile) {
    for (const auto& file : hostile) {
      plain_texts.insert(text(name, file, 1, plain));
      plain_texts.insert(text(name, file, 0, plain));
      pyflame_texts.insert(text(name, file, 1, pyflame));
      CHECK(std::regex_match(text(name, file, 1, pyflame), frame));
    }
  }
  CHECK(plain_texts.size() == 2 * hostile.size() * hostile.size());
  CHECK(pyflame_texts.size() == hostile.size() * hostile.size());
}

TEST_CASE("the texts of a table are by frame, with files shortened", "[export]") {
  StackTable stacks;
  const auto mark = stacks.intern(Frame{.kind = FrameKind::mark, .name = stacks.intern("<too deep>")});
  const auto frame =
      stacks.intern(Frame{.name = stacks.intern("f"), .file = stacks.intern("/srv/app/a.py"), .line = 3});
  const auto texts = frame_texts(stacks, plain, "/srv/app");
  CHECK(texts.at(static_cast<std::size_t>(mark)) == "<too deep>");
  CHECK(texts.at(static_cast<std::size_t>(frame)) == "f (a.py:3)");
}

TEST_CASE("full paths and Pyflame's style shorten nothing", "[export]") {
  StackTable stacks;
  (void)stacks.intern(Frame{.name = stacks.intern("f"), .file = stacks.intern("/srv/app/a.py"), .line = 3});
  CHECK(frame_texts(stacks, {.full_paths = true}, "/srv/app").front() == "f (/srv/app/a.py:3)");
  CHECK(frame_texts(stacks, pyflame, "/srv/app").front() == "/srv/app/a.py:f:3");
}

}  // namespace sampler
