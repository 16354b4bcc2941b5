#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sampler/model/profile_sink.h"

namespace sampler {

/// The wording of a frame.
enum class FrameStyle {
  sampler,  ///< qualname (file:line), files shortened
  pyflame,  ///< file:func:line, files as they are
};

/// How the user wants profiles written.
struct FormatOptions {
  FrameStyle style = FrameStyle::sampler;
  bool line_numbers = true;
  bool thread_roots = false;  ///< a root frame per thread
  bool full_paths = false;
};

/// One output format.
struct Format {
  std::string_view name;       ///< "folded"
  std::string_view extension;  ///< ".folded"; of a file name that selects it
  std::string_view summary;    ///< for --help
  std::unique_ptr<ProfileSink> (*open)(const FormatOptions&) = nullptr;
};

/// Registers a format for as long as the program runs; one static object in the format's own .cpp.
class FormatRegistration {
 public:
  explicit FormatRegistration(const Format& format);
};

/// All formats, by name.
[[nodiscard]] const std::vector<Format>& formats();

/// The format that a file name asks for by its extension; folded where the extension means no format. Throws
/// Error{usage} where it is the extension of a format that this version cannot write.
[[nodiscard]] const Format& format_for_file(std::string_view file_name);

}  // namespace sampler
