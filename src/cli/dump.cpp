#include <fmt/format.h>

#include <csignal>
#include <memory>
#include <vector>

#include "cli/commands.h"
#include "cli/dump_text.h"
#include "cli/layouts.h"
#include "cli/summary.h"
#include "sampler/base/error.h"
#include "sampler/base/standard_streams.h"
#include "sampler/export/output_file.h"
#include "sampler/process/signal_inbox.h"
#include "sampler/sampler/sampler.h"

namespace sampler {
namespace {

/// Keeps the one sample of each thread.
class DumpSink final : public ProfileSink {
 public:
  explicit DumpSink(const FormatOptions& options) : options_{options} {}

  void begin(const RunInfo& info) override { info_ = info; }
  void add(const Sample& sample) override { threads_.push_back({sample.tid, sample.activity, sample.stack}); }
  void write(std::ostream& out, const RunSummary& summary, const StackTable& stacks) const override {
    out << dump_text(threads_, stacks, info_, options_);
    const bool is_told = summary.left_out_states != 0 && options_.style == FrameStyle::sampler;
    if (is_told) out << fmt::format("\n{}\n", left_out_text(summary.left_out_states));
  }

 private:
  FormatOptions options_;
  RunInfo info_;
  std::vector<DumpedThread> threads_;
};

}  // namespace

int run_dump(const Options& options) {
  ::signal(SIGPIPE, SIG_IGN);
  const auto catalog = layouts_for(options);
  OutputFile output{options.output};
  auto sampling = options.sampling;
  sampling.duration = std::chrono::nanoseconds{0};
  sampling.report_activity = true;
  sampling.report_idle = false;

  DumpSink sink{options.format};
  SignalInbox inbox;
  Recording recording{{&sink}};
  Tracer tracer;
  Preemptor preemptor{sampling.priority};
  Sampler sampler{inbox, tracer, recording};
  sampler.set_priority(sampling.priority, sampling.hold);
  {
    const OpenInbox open{inbox};  // as in record: there is nothing to lose yet
    sampler.add(std::make_unique<Target>(*options.pid, sampling, catalog, tracer, preemptor, recording));
    sampler.targets().front()->require_interpreter();
  }
  const auto& target = *sampler.targets().front();
  if (!options.quiet && target.has_gil() && !target.process().shows_calls()) {
    say(fmt::format("sampler: warning: {}\n", hidden_calls_text(target.process().pid())));
  }
  sampler.run({});

  const auto summary = sampler.summary();
  if (summary.samples == 0) throw Error{ErrorKind::no_stack, no_stack_text(summary, sampling.mode)};
  output.write([&](std::ostream& out) { sink.write(out, summary, recording.stacks); },
               [&] { return sampler.serve(); });
  if (const auto refused = refused_stops(summary, *options.pid, target.has_gil())) throw Error{*refused};
  return 0;
}

}  // namespace sampler
