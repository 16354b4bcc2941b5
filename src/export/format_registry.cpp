#include "sampler/export/format_registry.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "sampler/base/error.h"

namespace sampler {
namespace {

// Extensions that name some other kind of file: folded text under such a name would only fail later,
// elsewhere.
constexpr std::array<std::string_view, 24> foreign_extensions{
    ".svg",        ".html",     ".htm",        ".json",       ".jsonl",          ".pb",     ".pprof",
    ".speedscope", ".sqlite",   ".sqlite3",    ".db",         ".prof",           ".pstats", ".lprof",
    ".callgrind",  ".perfetto", ".pyisession", ".cpuprofile", ".perfetto-trace", ".gz",     ".zst",
    ".xz",         ".png",      ".pdf"};

// A function's static, because registrations run before main in an order nobody knows.
std::vector<Format>& registry() {
  static std::vector<Format> instance;
  return instance;
}

constexpr char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string lower_case(std::string_view text) {
  std::string result{text};
  std::transform(result.begin(), result.end(), result.begin(), lower);
  return result;
}

const Format* format_named(std::string_view name) {
  const auto found = std::find_if(registry().begin(), registry().end(),
                                  [&](const Format& format) { return format.name == name; });
  return found == registry().end() ? nullptr : &*found;
}

// The longest extension wins: ".speedscope.json" before ".json".
const Format* format_with_extension_of(std::string_view file_name) {
  const Format* best = nullptr;
  for (const auto& format : registry()) {
    const bool fits = file_name.ends_with(format.extension);
    if (fits && (best == nullptr || format.extension.size() > best->extension.size())) best = &format;
  }
  return best;
}

void refuse_foreign_extension(std::string_view file_name, std::string_view lower_name) {
  const auto* const foreign =
      std::find_if(foreign_extensions.begin(), foreign_extensions.end(),
                   [&](std::string_view extension) { return lower_name.ends_with(extension); });
  if (foreign == foreign_extensions.end()) return;
  throw Error{ErrorKind::usage,
              fmt::format("cannot write '{}': {} files are not supported", file_name, *foreign),
              "write folded stacks with -o out.samp; for an SVG: flamegraph.pl out.samp > out.svg"};
}

}  // namespace

FormatRegistration::FormatRegistration(const Format& format) {
  const auto place = std::lower_bound(registry().begin(), registry().end(), format,
                                      [](const Format& a, const Format& b) { return a.name < b.name; });
  registry().insert(place, format);
}

const std::vector<Format>& formats() {
  return registry();
}

const Format& format_for_file(std::string_view file_name) {
  const auto lower_name = lower_case(file_name);
  if (const auto* const format = format_with_extension_of(lower_name)) return *format;
  refuse_foreign_extension(file_name, lower_name);
  if (const auto* const folded = format_named("folded")) return *folded;
  throw Error{ErrorKind::internal, "the format 'folded' is not part of this program"};
}

}  // namespace sampler
