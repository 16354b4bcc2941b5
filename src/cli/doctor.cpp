#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <vector>

#include "cli/commands.h"
#include "cli/finding.h"
#include "cli/layouts.h"
#include "cli/machine_findings.h"
#include "cli/process_facts.h"
#include "cli/process_findings.h"
#include "cli/python_findings.h"
#include "sampler/base/error.h"
#include "sampler/base/standard_streams.h"
#include "sampler/cpython/runtime_locator.h"
#include "sampler/cpython/runtime_state.h"
#include "sampler/cpython/thread_lister.h"
#include "sampler/memory/process_memory.h"
#include "sampler/process/kernel.h"
#include "sampler/process/rights.h"
#include "sampler/sampler/target.h"

namespace sampler {
namespace {

bool wants_colour() {
  return ::isatty(STDOUT_FILENO) == 1 && std::getenv("NO_COLOR") == nullptr;  // no-color.org
}

void append(Findings& findings, Findings more) {
  for (auto& finding : more) findings.push_back(std::move(finding));
}

/// Takes the steps of sampling one process up to its first tick. No thread is stopped.
class Examination {
 public:
  Examination(Pid pid, const LayoutCatalog& catalog, const Rights& rights)
      : pid_{pid}, catalog_{catalog}, rights_{rights} {}

  /// What `sampler -p` would end with before its first tick; 0 where it would sample.
  int run() {
    try {
      look_at_process();
      attach();
      find_python();
      findings_.push_back({Verdict::ok, fmt::format("sampler -p {} would sample it", number(pid_)), {}});
      return EXIT_SUCCESS;
    } catch (const Error& error) {
      const int status = static_cast<int>(error.kind());
      findings_.push_back({Verdict::fail, error.what(), error.hint()});
      findings_.push_back(
          {Verdict::fail, fmt::format("sampler -p {} would end with status {}", number(pid_), status), {}});
      return status;
    }
  }

  [[nodiscard]] const Findings& findings() const noexcept { return findings_; }

 private:
  void look_at_process() {
    if (is_hidden(pid_)) findings_.push_back(hidden_finding(pid_, rights_));
    const Process process{pid_};
    if (const auto facts = process_facts(process)) append(findings_, process_findings(*facts, rights_));
  }

  void attach() {
    target_ = std::make_unique<Target>(pid_, SamplingOptions{}, catalog_, tracer_, preemptor_, recording_);
    findings_.push_back(
        {Verdict::ok, "its memory can be read, which takes the right to trace it, and nobody traces it", {}});
  }

  void find_python() {
    const Process process{pid_};
    ProcessMemory memory{process};
    std::vector<LocateStep> steps;
    auto located = locate_runtimes(process, memory, catalog_, &steps);
    append(findings_, step_findings(steps));
    target_->require_interpreter();
    std::vector<RemoteAddress> seen;  // several ways may lead to the same interpreters
    for (auto& [runtime, path] : located.candidates) {
      const auto head = runtime.interpreters_head;
      const bool is_known = std::find(seen.begin(), seen.end(), head) != seen.end();
      if (is_known || !is_initialised(memory, runtime)) continue;
      seen.push_back(head);
      append(findings_, interpreter_findings(path, list_threads(memory, runtime)));
    }
    append(findings_, children_findings(python_descendants(pid_)));
  }

  Pid pid_;
  const LayoutCatalog& catalog_;
  const Rights& rights_;
  Findings findings_;
  Tracer tracer_;
  Preemptor preemptor_;
  Recording recording_{{}};
  std::unique_ptr<Target> target_;
};

}  // namespace

int run_doctor(const Options& options) {
  const auto catalog = layouts_for(options);
  const auto rights = own_rights();
  const bool in_colour = wants_colour();
  const auto machine = machine_findings(kernel_support(), rights);
  // Section by section: a later one may take a second.
  print(findings_text("the machine and our rights", machine, in_colour));
  int status = has_failed(machine) ? static_cast<int>(ErrorKind::permission) : EXIT_SUCCESS;
  if (options.pid) {
    Examination examination{*options.pid, catalog, rights};
    status = examination.run();
    print(
        findings_text(fmt::format("\nprocess {}", number(*options.pid)), examination.findings(), in_colour));
  }
  print(fmt::format("\n{}", pythons_text(catalog)));
  return status;
}

}  // namespace sampler
