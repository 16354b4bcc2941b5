#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sampler/export/format_registry.h"
#include "sampler/model/frame.h"
#include "sampler/model/stack_table.h"

namespace sampler {

/// `text`, valid UTF-8, on one line and without `;`: backslash is `\\`, newline, CR and tab are `\n`, `\r`,
/// `\t`,
/// `;` and other controls are `\xNN`, line separators and white space beyond ASCII `\xNN` or `\uNNNN`.
[[nodiscard]] std::string escape_text(std::string_view text);

/// The text of one folded frame; `file` is what is shown of its file. No two frames that differ in what is
/// shown have the same text. A mark is its name, exactly. An empty name or file is `<unnamed>`. The text
/// neither starts with white space or `#` nor ends in what flamegraph.pl takes for a count.
[[nodiscard]] std::string frame_text(const Frame& frame, std::string_view name, std::string_view file,
                                     const FormatOptions& options);

/// The text of every frame of the table, by FrameId, files shortened as the options say.
[[nodiscard]] std::vector<std::string> frame_texts(const StackTable& stacks, const FormatOptions& options,
                                                   std::string_view working_directory);

}  // namespace sampler
