#include "sampler/process/maps.h"

#include "catch.h"

namespace sampler {

TEST_CASE("a mapped file's line becomes a mapping", "[process]") {
  const auto mappings = parse_maps(
      "7f1200001000-7f12000ab000 r-xp 00028000 fd:01 1837                       /usr/lib/libc.so.6\n");
  REQUIRE(mappings.size() == 1);
  CHECK(mappings[0] == FileMapping{.start = {0x7f1200001000},
                                   .end = {0x7f12000ab000},
                                   .file_offset = 0x28000,
                                   .inode = 1837,
                                   .path = "/usr/lib/libc.so.6",
                                   .deleted = false,
                                   .executable = true});
}

TEST_CASE("a mapping that may not be run says so", "[process]") {
  const auto mappings = parse_maps(
      "1000-2000 rw-p 0 fd:01 5 /a\n"
      "2000-3000 r-xs 0 fd:01 5 /a\n");
  REQUIRE(mappings.size() == 2);
  CHECK_FALSE(mappings[0].executable);
  CHECK(mappings[1].executable);
}

TEST_CASE("a text that comes in parts of any size has the same mappings", "[process]") {
  const std::string text{
      "1000-2000 r-xp 0 fd:01 5   /usr/bin/python3.9 (deleted)\n"
      "2000-3000 rw-p 0 00:00 0   [heap]\n"
      "3000-4000 rw-p 1000 fd:01 5   /a\n"
      "4000-5000 r--p 0 fd:01 6   /without a newline"};
  const auto whole = parse_maps(text);
  REQUIRE(whole.size() == 3);
  for (std::size_t size = 1; size <= text.size(); ++size) {
    std::vector<FileMapping> found;
    const auto keep = [&](const FileMapping& mapping) {
      found.push_back(mapping);
      return true;
    };
    MapsParser parser;
    for (std::size_t at = 0; at < text.size(); at += size) CHECK(parser.take(text.substr(at, size), keep));
    parser.end(keep);
    CHECK(found == whole);
  }
}

TEST_CASE("a visitor that has seen enough is told no more", "[process]") {
  int seen = 0;
  MapsParser parser;
  CHECK_FALSE(
      parser.take("1000-2000 r-xp 0 fd:01 5 /a\n2000-3000 r-xp 0 fd:01 5 /b\n3000-4000 r-xp", [&](auto&) {
        ++seen;
        return false;
      }));
  CHECK(seen == 1);
}

TEST_CASE("mappings come in the order of their lines", "[process]") {
  const auto mappings = parse_maps(
      "00400000-00401000 r--p 00000000 fd:01 1 /b\n"
      "00401000-00402000 r-xp 00001000 fd:01 1 /b\n"
      "00500000-00501000 r--p 00000000 fd:01 2 /a\n");
  REQUIRE(mappings.size() == 3);
  CHECK(mappings[0].path == "/b");
  CHECK(mappings[1].start == RemoteAddress{0x401000});
  CHECK(mappings[2].path == "/a");
}

TEST_CASE("memory without a file is left out", "[process]") {
  const auto mappings = parse_maps(
      "7f0000000000-7f0000001000 rw-p 00000000 00:00 0 \n"
      "7f0000001000-7f0000002000 rw-p 00000000 00:00 0\n"
      "55d000000000-55d000021000 rw-p 00000000 00:00 0                          [heap]\n"
      "7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0                          [stack]\n"
      "7ffc000f0000-7ffc000f2000 r-xp 00000000 00:00 0                          [vdso]\n"
      "7f0000003000-7f0000004000 rw-p 00000000 00:00 0                          [anon:glibc: malloc]\n"
      "7f0000005000-7f0000006000 rw-s 00000000 00:0d 77                         anon_inode:[perf_event]\n");
  CHECK(mappings.empty());
}

TEST_CASE("a path may hold spaces", "[process]") {
  const auto mappings = parse_maps("1000-2000 r-xp 0 fd:01 5   /opt/my  app/lib python3.9 \n");
  REQUIRE(mappings.size() == 1);
  CHECK(mappings[0].path == "/opt/my  app/lib python3.9 ");
}

TEST_CASE("a deleted file has its name without the mark", "[process]") {
  const auto mappings = parse_maps(
      "1000-2000 r-xp 0 fd:01 5   /usr/bin/python3.9 (deleted)\n"
      "2000-3000 r-xp 0 fd:01 5   /tmp/a (deleted) b\n");
  REQUIRE(mappings.size() == 2);
  CHECK(mappings[0].path == "/usr/bin/python3.9");
  CHECK(mappings[0].deleted);
  CHECK(mappings[1].path == "/tmp/a (deleted) b");
  CHECK_FALSE(mappings[1].deleted);
}

TEST_CASE("a newline in a path arrives as the kernel escapes it", "[process]") {
  const auto mappings = parse_maps("1000-2000 r-xp 0 fd:01 5   /tmp/a\\012b\n");
  REQUIRE(mappings.size() == 1);
  CHECK(mappings[0].path == "/tmp/a\\012b");
}

TEST_CASE("the highest addresses and inodes fit", "[process]") {
  const auto mappings =
      parse_maps("ffffffffff600000-ffffffffffffffff r-xp ffffffffffffffff fd:01 18446744073709551615 /a\n");
  REQUIRE(mappings.size() == 1);
  CHECK(mappings[0].end == RemoteAddress{~std::uint64_t{0}});
  CHECK(mappings[0].file_offset == ~std::uint64_t{0});
  CHECK(mappings[0].inode == ~ino_t{0});
}

TEST_CASE("lines that are not in the kernel's form are left out and the others kept", "[process]") {
  const auto mappings = parse_maps(
      "\n"
      "nonsense\n"
      "1000 r-xp 0 fd:01 5 /no-dash\n"
      "-2000 r-xp 0 fd:01 5 /no-start\n"
      "1000- r-xp 0 fd:01 5 /no-end\n"
      "xyz-2000 r-xp 0 fd:01 5 /no-hex\n"
      "1000-2000 r-xp\n"
      "1000-2000 r-xp 0 fd:01\n"
      "1000-2000 r-xp 0 fd:01 five /no-inode\n"
      "1000-2000 r-xp g fd:01 5 /no-offset\n"
      "11111111111111111-2000 r-xp 0 fd:01 5 /too-long\n"
      "1000-2000 r-xp 0 fd:01 5 relative\n"
      "1000-2000 r-xp 0 fd:01 5 /good");
  REQUIRE(mappings.size() == 1);
  CHECK(mappings[0].path == "/good");
}

TEST_CASE("no text has no mappings", "[process]") {
  CHECK(parse_maps("").empty());
}

TEST_CASE("a base name is what follows the last slash", "[process]") {
  CHECK(base_name("/usr/lib/libc.so.6") == "libc.so.6");
  CHECK(base_name("libc.so.6") == "libc.so.6");
  CHECK(base_name("/usr/").empty());
  CHECK(base_name("").empty());
}

}  // namespace sampler
