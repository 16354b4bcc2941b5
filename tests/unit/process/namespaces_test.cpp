#include "sampler/process/namespaces.h"

#include "catch.h"

namespace sampler {

TEST_CASE("a namespace's link holds its number", "[process]") {
  CHECK(parse_namespace_link("pid:[4026531836]") == 4026531836U);
  CHECK(parse_namespace_link("mnt:[1]") == 1U);
}

TEST_CASE("what is no namespace's link has no number", "[process]") {
  CHECK_FALSE(parse_namespace_link(""));
  CHECK_FALSE(parse_namespace_link("pid:[]"));
  CHECK_FALSE(parse_namespace_link("pid:[x]"));
  CHECK_FALSE(parse_namespace_link("4026531836"));
  CHECK_FALSE(parse_namespace_link("pid:[4026531836"));
}

TEST_CASE("our own namespaces are known, and those of nobody are not", "[process]") {
  for (const auto kind : {NamespaceKind::mount, NamespaceKind::pid, NamespaceKind::user}) {
    CHECK(namespace_of("self", kind));
    CHECK_FALSE(namespace_of("none", kind));
  }
}

TEST_CASE("the machine's first PID and user namespaces have fixed numbers", "[process]") {
  CHECK(is_first_namespace(NamespaceKind::pid, 4026531836));
  CHECK(is_first_namespace(NamespaceKind::user, 4026531837));
  CHECK_FALSE(is_first_namespace(NamespaceKind::pid, 4026532000));
  CHECK_FALSE(is_first_namespace(NamespaceKind::user, 4026531836));
  CHECK_FALSE(is_first_namespace(NamespaceKind::mount, 4026531836));
}

}  // namespace sampler
