#include "command_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "option_table.h"
#include "sampler/base/error.h"

namespace sampler {
namespace {

constexpr std::string_view trace_name = "trace";

using CommandName = std::pair<Command, std::string_view>;

constexpr std::array command_names{CommandName{Command::record, "record"}, CommandName{Command::dump, "dump"},
                                   CommandName{Command::doctor, "doctor"}};

class Splitter {
 public:
  explicit Splitter(std::span<const char* const> args) : rest_{args.begin(), args.end()} {}

  CommandLine split() {
    if (!rest_.empty()) line_.command = command_named(rest_.front());
    if (line_.command) next();
    while (!rest_.empty() && line_.trace_marker.empty()) take(next());
    return std::move(line_);
  }

 private:
  std::string_view next() {
    const auto arg = rest_.front();
    rest_.erase(rest_.begin());
    return arg;
  }

  void take(std::string_view arg) {
    if (arg == "--") {
      take_command(arg);
    } else if (arg.starts_with("--")) {
      take_long(arg);
    } else if (arg.starts_with('-') && arg.size() > 1) {
      take_cluster(arg.substr(1));
    } else {
      line_.words.emplace_back(arg);
    }
  }

  void take_long(std::string_view arg) {
    const auto equals = arg.find('=');
    const auto spelling = arg.substr(0, equals);
    const bool has_value = equals != std::string_view::npos;
    const auto* const option = option_named(spelling.substr(2));
    if (has_value && option != nullptr && (!option->takes_value() || option->name == trace_name)) {
      note(fmt::format("{} takes no value after '='", spelling), "see sampler --help");
    }
    if (option == nullptr || !option->takes_value()) {
      line_.options.emplace_back(arg);
    } else if (option->name == trace_name) {
      take_command(spelling);
    } else {
      add_value(*option, spelling, has_value ? arg.substr(equals + 1) : next_word());
    }
  }

  void take_cluster(std::string_view letters) {
    while (!letters.empty()) {
      const auto spelling = fmt::format("-{}", letters.front());
      const auto* const option = option_with_letter(letters.front());
      letters.remove_prefix(1);
      if (option == nullptr) {
        note(fmt::format("unknown option '{}'", spelling), "sampler --help lists the options");
        continue;
      }
      if (!option->takes_value()) {
        line_.options.push_back(fmt::format("--{}", option->name));
        continue;
      }
      take_letter_with_value(*option, spelling, letters);
      return;
    }
  }

  void take_letter_with_value(const OptionSpec& option, std::string_view spelling,
                              std::string_view adjacent) {
    if (option.name != trace_name) {
      add_value(option, spelling, adjacent.empty() ? next_word() : adjacent);
      return;
    }
    if (!adjacent.empty()) {
      note(fmt::format("'{}' follows -t without a space", adjacent),
           "use -t CMD..., all of it apart from the -t");
    }
    take_command(spelling);
  }

  std::string_view next_word() { return rest_.empty() ? std::string_view{} : next(); }

  void add_value(const OptionSpec& option, std::string_view spelling, std::string_view value) {
    if (value.empty()) {
      note(fmt::format("{} needs a value", spelling),
           fmt::format("use {} {}: {}", spelling, option.value, option.help));
    }
    line_.options.push_back(fmt::format("--{}={}", option.name, value));
  }

  void take_command(std::string_view marker) {
    line_.trace_marker = marker;
    if (marker != "--" && !rest_.empty() && rest_.front() == "--") next();
    if (rest_.empty() || rest_.front().empty()) {
      note(fmt::format("no command to run after {}", marker),
           fmt::format("use sampler {} python app.py", marker));
    }
    line_.trace.assign(rest_.begin(), rest_.end());
  }

  /// Only the first mistake counts: what follows it may be due to it.
  void note(const std::string& what, std::string hint) {
    if (!line_.mistake) line_.mistake = Error{ErrorKind::usage, what, std::move(hint)};
  }

  std::vector<std::string_view> rest_;
  CommandLine line_;
};

}  // namespace

std::optional<Command> command_named(std::string_view word) noexcept {
  const auto* const found = std::find_if(command_names.begin(), command_names.end(),
                                         [&](const CommandName& name) { return name.second == word; });
  return found == command_names.end() ? std::nullopt : std::optional{found->first};
}

std::string_view name_of(Command command) noexcept {
  return std::find_if(command_names.begin(), command_names.end(),
                      [&](const CommandName& name) { return name.first == command; })
      ->second;
}

CommandLine split_command_line(std::span<const char* const> args) {
  return Splitter{args}.split();
}

}  // namespace sampler
