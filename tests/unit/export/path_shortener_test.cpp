#include "sampler/export/path_shortener.h"

#include <array>

#include "catch.h"

namespace sampler {

TEST_CASE("a file is shortened below the last package directory", "[export]") {
  CHECK(shortened_path("/v/lib/python3.9/site-packages/flask/app.py", "") == "flask/app.py");
  CHECK(shortened_path("/usr/lib/python3/dist-packages/six.py", "") == "six.py");
  CHECK(shortened_path("/a/site-packages/b/dist-packages/c.py", "") == "c.py");
  CHECK(shortened_path("/a/dist-packages/b/site-packages/c.py", "") == "c.py");
}

TEST_CASE("a file is shortened below the library directory", "[export]") {
  CHECK(shortened_path("/usr/lib/python3.11/json/decoder.py", "") == "json/decoder.py");
  CHECK(shortened_path("/usr/lib64/python2.7/os.py", "") == "os.py");
  CHECK(shortened_path("/opt/lib/python3.13t/os.py", "") == "os.py");
}

TEST_CASE("what only looks like a library directory is none", "[export]") {
  CHECK(shortened_path("/usr/lib/python3/os.py", "") == "/usr/lib/python3/os.py");
  CHECK(shortened_path("/usr/lib/python3./os.py", "") == "/usr/lib/python3./os.py");
  CHECK(shortened_path("/usr/lib/pythonic.1/os.py", "") == "/usr/lib/pythonic.1/os.py");
  CHECK(shortened_path("/usr/lib/python3.11", "") == "/usr/lib/python3.11");
}

TEST_CASE("a file is shortened below the working directory", "[export]") {
  CHECK(shortened_path("/srv/app/shop/cart.py", "/srv/app") == "shop/cart.py");
  CHECK(shortened_path("/srv/app/shop/cart.py", "/srv/app/") == "shop/cart.py");
  CHECK(shortened_path("/srv/app2/cart.py", "/srv/app") == "/srv/app2/cart.py");
  CHECK(shortened_path("/srv/app", "/srv/app") == "/srv/app");
}

TEST_CASE("a package below the working directory is shortened as a package", "[export]") {
  CHECK(shortened_path("/srv/app/venv/lib/python3.9/site-packages/x.py", "/srv/app") == "x.py");
}

TEST_CASE("the root and an unknown working directory shorten nothing", "[export]") {
  CHECK(shortened_path("/app.py", "/") == "/app.py");
  CHECK(shortened_path("/app.py", "") == "/app.py");
}

TEST_CASE("names that are no paths are left alone", "[export]") {
  CHECK(shortened_path("<frozen importlib._bootstrap>", "/srv") == "<frozen importlib._bootstrap>");
  CHECK(shortened_path("", "/srv").empty());
  CHECK(shortened_path("/x/site-packages/", "/srv") == "/x/site-packages/");
}

TEST_CASE("files with short names of their own are shown by them", "[export]") {
  const std::array<std::string_view, 3> files{"/srv/a.py", "/usr/lib/python3.9/os.py", "<string>"};
  const auto paths = shorten_paths(files, "/srv");
  CHECK(paths == ShortPaths{{"/srv/a.py", "a.py"}, {"/usr/lib/python3.9/os.py", "os.py"}});
}

TEST_CASE("two files shortened alike both keep their full paths", "[export]") {
  const std::array<std::string_view, 3> files{"/srv/os.py", "/usr/lib/python3.9/os.py", "/srv/a.py"};
  CHECK(shorten_paths(files, "/srv") == ShortPaths{{"/srv/a.py", "a.py"}});
}

TEST_CASE("a file whose short name is another's full name keeps its full path", "[export]") {
  const std::array<std::string_view, 2> files{"/srv/a.py", "a.py"};
  CHECK(shorten_paths(files, "/srv").empty());
}

TEST_CASE("a file whose full name is another's short name keeps it", "[export]") {
  const std::array<std::string_view, 2> files{"/x/site-packages//srv/a.py", "/srv/a.py"};
  CHECK(shorten_paths(files, "/srv").empty());
}

}  // namespace sampler
