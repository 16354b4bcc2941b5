#include "sampler/sampler/tid_set.h"

#include "catch.h"

namespace sampler {

TEST_CASE("a set of thread numbers counts each once", "[sampler]") {
  TidSet tids;
  CHECK(tids.size() == 0);
  for (const int number : {1, 4095, 4096, 4194304, 2147483647, 4096, 1}) tids.insert(Tid{number});
  CHECK(tids.size() == 5);
}

}  // namespace sampler
