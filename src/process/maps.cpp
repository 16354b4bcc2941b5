#include "sampler/process/maps.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>

#include "sampler/base/file.h"
#include "sampler/process/process.h"

namespace sampler {
namespace {

/// The text up to the next run of spaces; both are taken off `line`.
std::string_view take_word(std::string_view& line) {
  const auto end = std::min(line.find(' '), line.size());
  const auto word = line.substr(0, end);
  const auto next = line.find_first_not_of(' ', end);
  line.remove_prefix(next == std::string_view::npos ? line.size() : next);
  return word;
}

template <class T>
bool parse_number(std::string_view text, int base, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return error == std::errc{} && end == text.data() + text.size();
}

/// False where the line is of no file, or not in the kernel's form; `mapping` is unspecified then.
bool parse_line(std::string_view line, FileMapping& mapping) {
  constexpr std::string_view deleted_mark = " (deleted)";
  const auto range = take_word(line);
  const auto dash = range.find('-');
  if (dash == std::string_view::npos) return false;
  const auto permissions = take_word(line);
  const auto offset = take_word(line);
  take_word(line);  // device
  const auto inode = take_word(line);
  if (!parse_number(range.substr(0, dash), 16, mapping.start.value) ||
      !parse_number(range.substr(dash + 1), 16, mapping.end.value) ||
      !parse_number(offset, 16, mapping.file_offset) || !parse_number(inode, 10, mapping.inode)) {
    return false;
  }
  if (line.empty() || line.front() != '/') return false;
  mapping.executable = permissions.find('x') != std::string_view::npos;
  mapping.deleted = line.ends_with(deleted_mark);
  if (mapping.deleted) line.remove_suffix(deleted_mark.size());
  mapping.path = line;
  return true;
}

}  // namespace

bool MapsParser::take(std::string_view part, const MappingVisitor& visit) {
  for (auto end = part.find('\n'); end != std::string_view::npos; end = part.find('\n')) {
    auto line = part.substr(0, end);
    if (!rest_.empty()) line = rest_.append(line);
    const bool is_enough = parse_line(line, mapping_) && !visit(mapping_);
    rest_.clear();
    if (is_enough) return false;
    part.remove_prefix(end + 1);
  }
  rest_.append(part);
  return true;
}

void MapsParser::end(const MappingVisitor& visit) {
  if (parse_line(rest_, mapping_)) visit(mapping_);
  rest_.clear();
}

Result<MapsReader, int> MapsReader::open(Pid pid) {
  auto file = open_file(fmt::format("/proc/{}/maps", living_task(pid)), O_RDONLY);
  if (!file) return Failure{file.error()};
  return MapsReader{std::move(*file)};
}

Result<bool, int> MapsReader::step(const MappingVisitor& visit) {
  // 65,530 mappings, the kernel's limit unless it is raised, have at most 1 GiB of lines.
  constexpr std::uint64_t most = 16ULL << 30U;
  std::array<char, 16384> buffer;
  ssize_t got = 0;
  do {
    got = ::read(file_.get(), buffer.data(), buffer.size());
  } while (got < 0 && errno == EINTR);
  if (got < 0) return Failure{errno};
  if (got == 0) {
    parser_.end(visit);
    return false;
  }
  taken_ += static_cast<std::uint64_t>(got);
  if (taken_ > most) return Failure{EFBIG};
  return parser_.take({buffer.data(), static_cast<std::size_t>(got)}, visit);
}

std::vector<FileMapping> parse_maps(std::string_view text) {
  std::vector<FileMapping> mappings;
  const auto keep = [&](const FileMapping& mapping) {
    mappings.push_back(mapping);
    return true;
  };
  MapsParser parser;
  if (parser.take(text, keep)) parser.end(keep);
  return mappings;
}

std::string_view base_name(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

}  // namespace sampler
