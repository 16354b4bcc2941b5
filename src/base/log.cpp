#include "sampler/base/log.h"

#include <fmt/format.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>

#include <array>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "sampler/base/error.h"
#include "sampler/base/standard_streams.h"

namespace sampler {
namespace {

constexpr std::array<std::string_view, 6> layer_names{"process", "memory",  "elf",
                                                      "cpython", "sampler", "cli"};
constexpr std::array<std::string_view, 4> level_names{"debug", "info", "warning", "error"};
constexpr std::array spdlog_levels{spdlog::level::debug, spdlog::level::info, spdlog::level::warn,
                                   spdlog::level::err};

/// spdlog's own throws where standard error cannot be written.
class StderrSink final : public spdlog::sinks::base_sink<std::mutex> {
 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    say({line.data(), line.size()});
  }
  void flush_() override {}
};

using Loggers = std::array<std::unique_ptr<spdlog::logger>, layer_names.size()>;

Loggers make_loggers() {
  const auto sink = std::make_shared<StderrSink>();
  Loggers loggers;
  for (std::size_t i = 0; i < loggers.size(); ++i) {
    loggers[i] = std::make_unique<spdlog::logger>(std::string{layer_names[i]}, sink);
    loggers[i]->set_level(spdlog::level::warn);
    loggers[i]->set_pattern("sampler: %n: %v");
  }
  return loggers;
}

Loggers& loggers() {
  static Loggers instance = make_loggers();
  return instance;
}

template <std::size_t N>
std::optional<std::size_t> index_of(const std::array<std::string_view, N>& names, std::string_view name) {
  for (std::size_t i = 0; i < N; ++i) {
    if (names[i] == name) return i;
  }
  return std::nullopt;
}

spdlog::level::level_enum parse_level(std::string_view name) {
  if (const auto level = index_of(level_names, name)) return spdlog_levels[*level];
  throw Error{ErrorKind::usage, fmt::format("unknown log level '{}'", name),
              "use debug, info, warning or error"};
}

void configure_one(std::string_view item) {
  const auto equals = item.find('=');
  if (equals == std::string_view::npos) {
    const auto level = parse_level(item);
    for (auto& logger : loggers()) logger->set_level(level);
    return;
  }
  const auto layer = index_of(layer_names, item.substr(0, equals));
  if (!layer) {
    throw Error{ErrorKind::usage, fmt::format("unknown log layer '{}'", item.substr(0, equals)),
                fmt::format("use {}", fmt::join(layer_names, ", "))};
  }
  loggers()[*layer]->set_level(parse_level(item.substr(equals + 1)));
}

}  // namespace

void configure_logging(std::string_view specification) {
  while (!specification.empty()) {
    const auto comma = specification.find(',');
    configure_one(specification.substr(0, comma));
    specification = comma == std::string_view::npos ? std::string_view{} : specification.substr(comma + 1);
  }
}

void silence_logging() {
  for (auto& logger : loggers()) logger->set_level(spdlog::level::err);
}

void log(LogLayer layer, LogLevel level, std::string_view text) {
  loggers()[static_cast<std::size_t>(layer)]->log(spdlog_levels[static_cast<std::size_t>(level)],
                                                  printable(text));
}

}  // namespace sampler
