#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <memory>
#include <utility>

#include "cli/commands.h"
#include "cli/layouts.h"
#include "cli/summary.h"
#include "sampler/base/error.h"
#include "sampler/base/log.h"
#include "sampler/base/standard_streams.h"
#include "sampler/export/format_registry.h"
#include "sampler/export/output_file.h"
#include "sampler/process/child.h"
#include "sampler/process/signal_inbox.h"
#include "sampler/sampler/sampler.h"

namespace sampler {
namespace {

// What env(1), nohup(1) and timeout(1) end with.
constexpr int own_failure = 125;
constexpr int cannot_execute = 126;
constexpr int not_found = 127;
constexpr int signal_base = 128;

void print_error(const std::string& text) {
  say(fmt::format("sampler: {}\n", printable(text)));
}

/// A write that cannot be done is an error that we tell, not a signal that ends us.
void ignore_output_signals() {
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);
}

/// The progress line of a terminal: written over itself, and wiped away at the end.
class ProgressLine {
  /// Sampling does not wait for a terminal that was stopped (Ctrl-S).
  static constexpr std::chrono::milliseconds no_wait{0};

 public:
  ProgressLine(const Options& options, const Sampler& sampler)
      : options_{options}, sampler_{sampler}, is_shown_{!options.quiet && ::isatty(STDERR_FILENO) == 1} {}
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  ~ProgressLine() { wipe(); }

  void wipe() noexcept {
    if (std::exchange(was_written_, false)) say("\r\x1b[K", no_wait);
  }

  [[nodiscard]] std::function<void(const RunSummary&)> callback() {
    if (!is_shown_) return {};
    return [this](const RunSummary& summary) {
      const auto pid = sampler_.targets().front()->process().pid();
      say(fmt::format("\r{}\x1b[K", progress_text(pid, summary.elapsed, options_.sampling.duration,
                                                  summary.taken, summary.samples)),
          no_wait);
      was_written_ = true;
    };
  }

 private:
  const Options& options_;
  const Sampler& sampler_;
  bool is_shown_;
  bool was_written_ = false;
};

void warn_of_abi(const Options& options, const Target& target) {
  const auto version = target.version();
  if (options.quiet || !options.abi || !version || *options.abi == *version) return;
  say(fmt::format("sampler: warning: --abi says Python {}, but the process runs {}: --abi is not used\n",
                  to_string(*options.abi), to_string(*version)));
}

void warn_of_hidden_calls(const Options& options, const Target& target) {
  const bool matters = options.sampling.mode == Mode::active && target.has_gil();
  if (options.quiet || !matters || target.process().shows_calls()) return;
  say(fmt::format("sampler: warning: {}\n", hidden_calls_text(target.process().pid())));
}

/// One run of the record command: what it is made of, in the order of its life.
class Recorder {
 public:
  explicit Recorder(const Options& options)
      : options_{options},
        catalog_{layouts_for(options)},
        output_{options.output},
        sink_{format_for_file(options.output).open(options.format)},
        recording_{{sink_.get()}},
        preemptor_{options.sampling.priority},
        sampler_{inbox_, tracer_, recording_} {
    sampler_.watch_output(output_.watched_fd());
  }

  int attach_and_run() {
    ignore_output_signals();
    attach();
    warn_of_abi(options_, *sampler_.targets().front());
    warn_of_hidden_calls(options_, *sampler_.targets().front());
    record();
    const auto summary = sampler_.summary();
    if (const auto refused = refusal(summary)) throw Error{*refused};
    if (has_stacks(summary) || sampler_.is_output_closed()) return EXIT_SUCCESS;
    if (!sampler_.targets().front()->was_found()) {
      throw Error{ErrorKind::no_process,
                  fmt::format("process {} ended before its first tick", number(*options_.pid)),
                  "give the number of a process that runs for longer"};
    }
    throw Error{ErrorKind::no_stack, no_stack_text(summary, options_.sampling.mode)};
  }

  int start_and_run() {
    const auto child = start();
    ignore_output_signals();
    sampler_.follow(child);
    bool has_failed = !sample(child);
    const int status = sampler_.wait_for_child();
    if (WIFSIGNALED(status)) return signal_base + WTERMSIG(status);
    if (WEXITSTATUS(status) != 0) return WEXITSTATUS(status);
    return has_failed ? own_failure : EXIT_SUCCESS;
  }

 private:
  Pid start() const { return start_command(options_.trace, inbox_.original_mask()); }

  /// Nothing is held, and there is nothing to lose: a signal ends us at once, also where a file of the
  /// process is on a filesystem that hangs.
  void attach() {
    const OpenInbox open{inbox_};
    add_target(*options_.pid);
    sampler_.targets().front()->require_interpreter();
  }

  void add_target(Pid pid) {
    sampler_.add(std::make_unique<Target>(pid, options_.sampling, catalog_, tracer_, preemptor_, recording_));
  }

  /// Samples the command until it or the time ends. False where nothing could be sampled; the command runs
  /// on.
  bool sample(Pid child) {
    try {
      add_target(child);
      record();
    } catch (const Error& error) {
      // The command may have ended before we could look at it: that is told below like any that ran no
      // Python.
      if (error.kind() != ErrorKind::no_process) {
        print_error(error_line(error));
        return false;
      }
    }
    if (sampler_.targets().empty()) return tell_no_python(std::nullopt);
    const auto& target = *sampler_.targets().front();
    if (!target.was_found()) return tell_no_python(target.last_error());
    warn_of_abi(options_, target);
    const auto summary = sampler_.summary();
    if (const auto refused = refusal(summary)) {
      print_error(error_line(*refused));
      return false;
    }
    if (!has_stacks(summary)) print_error(no_stack_text(summary, options_.sampling.mode));
    return true;
  }

  /// Always false, for sample().
  [[nodiscard]] bool tell_no_python(const std::optional<Error>& why) const {
    const bool is_known = why && why->kind() != ErrorKind::not_python && why->kind() != ErrorKind::no_process;
    print_error(is_known ? error_line(*why)
                         : fmt::format("the command {} ran no Python that could be sampled; "
                                       "give the command that is the Python itself, or use -p",
                                       options_.trace.front()));
    return false;
  }

  /// Why the kernel let no running thread be sampled; nothing where it did.
  [[nodiscard]] std::optional<Error> refusal(const RunSummary& summary) const {
    const auto& target = *sampler_.targets().front();
    return refused_stops(summary, target.process().pid(), target.has_gil());
  }

  static bool has_stacks(const RunSummary& summary) { return summary.samples > summary.unreadable; }

  void record() {
    {
      ProgressLine progress{options_, sampler_};
      Sampler::Callbacks callbacks;
      callbacks.progress = progress.callback();
      if (output_.rewritable()) {
        callbacks.checkpoint = [&](const RunSummary& summary) { checkpoint(summary, progress); };
      }
      sampler_.set_priority(options_.sampling.priority, options_.sampling.hold);
      sampler_.run(callbacks);
    }
    const auto summary = sampler_.summary();
    const auto outcome = write_last(summary);
    const bool is_told = !options_.quiet && outcome == WriteOutcome::written && !sampler_.is_output_closed();
    if (!is_told) return;
    tell_end(summary);
    if (sampler_.targets().front()->was_found()) say(summary_text(summary, options_.sampling.max_overhead));
  }

  /// Why the run has ended where nobody asked for it.
  void tell_end(const RunSummary& summary) const {
    const auto& target = *sampler_.targets().front();
    if (target.is_lost()) {
      print_error(fmt::format("process {} became a program that is no Python: the run has ended",
                              number(target.process().pid())));
    }
    if (!target.was_found() || !target.has_ended() || !ended_early(summary)) return;
    const auto status = sampler_.child_status() ? sampler_.child_status() : target.process().exit_status();
    print_error(early_end_text(target.process().pid(), summary.elapsed, options_.sampling.duration, status));
  }

  /// A command may take as long as it likes, unless it was given a time.
  [[nodiscard]] bool ended_early(const RunSummary& summary) const {
    const auto& duration = options_.sampling.duration;
    return duration ? summary.elapsed < *duration : options_.trace.empty();
  }

  /// What cannot be written now may be at the next checkpoint or at the end: a directory that is away for a
  /// moment, a disk that is full.
  void checkpoint(const RunSummary& summary, ProgressLine& progress) {
    try {
      write(summary);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::output) throw;
      if (!options_.quiet && !std::exchange(has_failed_checkpoint_, true)) {
        progress.wipe();
        print_error(fmt::format("warning: {}; sampling goes on, and the end is written", error_line(error)));
      }
    }
  }

  WriteOutcome write_last(const RunSummary& summary) {
    try {
      return write(summary);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::output || !output_.keeps_last_write()) throw;
      throw Error{error.kind(), error.what(),
                  fmt::format("{}; the file holds the first {} of {}", error.hint(),
                              time_text(written_until_), time_text(summary.elapsed))};
    }
  }

  WriteOutcome write(const RunSummary& summary) {
    const auto outcome =
        output_.write([&](std::ostream& out) { sink_->write(out, summary, recording_.stacks); },
                      [this] { return sampler_.serve(); });
    written_until_ = summary.elapsed;
    return outcome;
  }

  const Options& options_;
  LayoutCatalog catalog_;
  OutputFile output_;
  std::unique_ptr<ProfileSink> sink_;
  SignalInbox inbox_;
  Recording recording_;
  Tracer tracer_;
  Preemptor preemptor_;
  Sampler sampler_;
  std::chrono::nanoseconds written_until_{0};  ///< from the start of the run
  bool has_failed_checkpoint_ = false;
};

}  // namespace

int run_record(const Options& options) {
  if (options.trace.empty()) return Recorder{options}.attach_and_run();
  try {
    return Recorder{options}.start_and_run();
  } catch (const CommandError& error) {
    print_error(fmt::format("cannot run {}: {}; check its name and PATH", options.trace.front(),
                            errno_text(error.code)));
    return error.code == ENOENT ? not_found : cannot_execute;
  } catch (const Error& error) {
    print_error(error_line(error));
    return own_failure;
  }
}

}  // namespace sampler
