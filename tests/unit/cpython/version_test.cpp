#include <array>
#include <initializer_list>
#include <vector>

#include "catch.h"
#include "sampler/cpython/interpreter_image.h"
#include "sampler/cpython/version_detector.h"

namespace sampler {
namespace {

using Version = std::optional<PythonVersion>;

std::vector<std::byte> code(std::initializer_list<int> bytes) {
  std::vector<std::byte> machine_code;
  for (const int byte : bytes) machine_code.push_back(static_cast<std::byte>(byte));
  return machine_code;
}

}  // namespace

TEST_CASE("the version is what follows python in a file's name", "[cpython]") {
  CHECK(version_in_name("python3.9") == Version{{3, 9}});
  CHECK(version_in_name("python2.7") == Version{{2, 7}});
  CHECK(version_in_name("libpython3.12.so.1.0") == Version{{3, 12}});
  CHECK(version_in_name("libpython3.6m.so.1.0") == Version{{3, 6}});
  CHECK(version_in_name("libpython3.10.a") == Version{{3, 10}});
  CHECK(version_in_name("/opt/python/bin/python3.11-dbg") == Version{{3, 11}});
}

TEST_CASE("a python without a version before one with is passed over", "[cpython]") {
  CHECK(version_in_name("/usr/lib/python3/libpython3.8.so") == Version{{3, 8}});
  CHECK(version_in_name("pythonpython3.9") == Version{{3, 9}});
}

TEST_CASE("a name that tells no version has none", "[cpython]") {
  CHECK_FALSE(version_in_name(""));
  CHECK_FALSE(version_in_name("python"));
  CHECK_FALSE(version_in_name("python3"));
  CHECK_FALSE(version_in_name("python3."));
  CHECK_FALSE(version_in_name("python3.x"));
  CHECK_FALSE(version_in_name("python3-9"));
  CHECK_FALSE(version_in_name("pypy3.9"));
  CHECK_FALSE(version_in_name("Python3.9"));
  CHECK_FALSE(version_in_name("python4.0"));
  CHECK_FALSE(version_in_name("python39"));
  CHECK_FALSE(version_in_name("3.9"));
}

TEST_CASE("a minor version of three digits is none", "[cpython]") {
  CHECK_FALSE(version_in_name("python3.100"));
  CHECK_FALSE(version_in_name("python3.99999999999999"));
}

TEST_CASE("a minor version with a sign is none", "[cpython]") {
  CHECK_FALSE(version_in_name("python3.-1"));
}

TEST_CASE("a function that loads a variable tells where it is", "[cpython]") {
  const auto machine_code = code({0x48, 0x8b, 0x05, 0x10, 0x20, 0x00, 0x00, 0xc3, 0x90});
  CHECK(loaded_address(machine_code, 0x5000) == 0x5000U + 7 + 0x2010);
}

TEST_CASE("a function may start with endbr64", "[cpython]") {
  const auto machine_code =
      code({0xf3, 0x0f, 0x1e, 0xfa, 0x48, 0x8b, 0x05, 0x10, 0x20, 0x00, 0x00, 0xc3, 0x90});
  CHECK(loaded_address(machine_code, 0x5000) == 0x5000U + 11 + 0x2010);
}

TEST_CASE("a variable may lie before its function", "[cpython]") {
  const auto machine_code = code({0x48, 0x8b, 0x05, 0xf0, 0xff, 0xff, 0xff, 0xc3});
  CHECK(loaded_address(machine_code, 0x5000) == 0x5000U + 7 - 16);
}

TEST_CASE("other code tells nothing", "[cpython]") {
  CHECK_FALSE(loaded_address({}, 0x5000));
  CHECK_FALSE(loaded_address(code({0x55, 0x48, 0x89, 0xe5, 0x48, 0x8b, 0x05, 0, 0, 0, 0, 0xc3}), 0x5000));
  CHECK_FALSE(loaded_address(code({0x48, 0x8b, 0x0d, 0x10, 0x20, 0x00, 0x00, 0xc3}), 0x5000));
  CHECK_FALSE(loaded_address(code({0x48, 0x8d, 0x05, 0x10, 0x20, 0x00, 0x00, 0xc3}), 0x5000));
  CHECK_FALSE(loaded_address(code({0x48, 0x8b, 0x05, 0x10, 0x20, 0x00, 0x00, 0x48}), 0x5000));
}

TEST_CASE("code that is cut tells nothing", "[cpython]") {
  CHECK_FALSE(loaded_address(code({0x48, 0x8b, 0x05, 0x10, 0x20, 0x00, 0x00}), 0x5000));
  CHECK_FALSE(loaded_address(code({0x48, 0x8b, 0x05, 0x10}), 0x5000));
  CHECK_FALSE(loaded_address(code({0xf3, 0x0f, 0x1e, 0xfa, 0x48, 0x8b}), 0x5000));
  CHECK_FALSE(loaded_address(code({0xf3, 0x0f, 0x1e, 0xfa}), 0x5000));
}

}  // namespace sampler
