#include "sampler/base/result.h"

#include <memory>
#include <string>

#include "catch.h"

namespace sampler {

TEST_CASE("a result holds its value", "[base]") {
  const Result<int, std::string> result = 7;
  CHECK(result.has_value());
  CHECK(static_cast<bool>(result));
  CHECK(*result == 7);
}

TEST_CASE("a result holds its error", "[base]") {
  const Result<int, std::string> result = Failure{std::string{"no"}};
  CHECK_FALSE(result.has_value());
  CHECK_FALSE(static_cast<bool>(result));
  CHECK(result.error() == "no");
}

TEST_CASE("a value and an error of one type are told apart", "[base]") {
  const Result<int, int> good = 3;
  const Result<int, int> bad = Failure{3};
  CHECK(good.has_value());
  CHECK_FALSE(bad.has_value());
}

TEST_CASE("a value that cannot be copied is moved in and out", "[base]") {
  Result<std::unique_ptr<int>, int> result = std::make_unique<int>(5);
  const auto owner = std::move(*result);
  CHECK(*owner == 5);
}

TEST_CASE("the members of a result's value are in reach", "[base]") {
  Result<std::string, int> result = std::string{"abc"};
  result->push_back('d');
  CHECK(result->size() == 4);
}

TEST_CASE("a result without a value is success or an error", "[base]") {
  const Result<void, int> good;
  const Result<void, int> bad = Failure{2};
  CHECK(good.has_value());
  CHECK_FALSE(static_cast<bool>(bad));
  CHECK(bad.error() == 2);
}

}  // namespace sampler
