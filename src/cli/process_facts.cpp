#include "process_facts.h"

#include <elf.h>
#include <sys/stat.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "sampler/base/file.h"
#include "sampler/process/namespaces.h"

namespace sampler {
namespace {

std::optional<bool> shares_namespace(const std::string& pid, NamespaceKind kind) {
  const auto its = namespace_of(pid, kind);
  const auto ours = namespace_of("self", kind);
  return its && ours ? std::optional{*its == *ours} : std::nullopt;
}

/// The kernel gives the files of an undumpable process to root instead of its effective user.
bool is_undumpable(const Process& process, const ProcessStatus& status) {
  struct stat facts {};
  return ::stat(process.proc_path("environ").c_str(), &facts) == 0 && facts.st_uid != status.users[1];
}

}  // namespace

bool is_hidden(Pid pid) {
  // Signal 0 only asks.
  const bool is_there = ::kill(number(pid), 0) == 0 || errno == EPERM;
  return is_there && !read_stat(std::to_string(number(pid)));
}

ProgramKind program_kind(std::string_view start) noexcept {
  Elf64_Ehdr header{};
  if (!start.starts_with(ELFMAG) || start.size() < sizeof header) return ProgramKind::other;
  std::memcpy(&header, start.data(), sizeof header);
  if (header.e_ident[EI_CLASS] == ELFCLASS32) return ProgramKind::bits_32;
  return header.e_machine == EM_X86_64 ? ProgramKind::x86_64 : ProgramKind::other;
}

std::optional<ProcessFacts> process_facts(const Process& process) {
  const auto pid = std::to_string(number(process.pid()));
  const auto task = living_task(process.pid());
  const auto stat = read_stat(pid);
  const auto status = read_status(pid);
  if (!stat || !status) return std::nullopt;
  ProcessFacts facts;
  facts.pid = process.pid();
  facts.stat = *stat;
  facts.status = *status;
  facts.is_undumpable = is_undumpable(process, *status);
  facts.shares_mounts = shares_namespace(task, NamespaceKind::mount);
  facts.shares_users = shares_namespace(task, NamespaceKind::user);
  if (const auto program = read_link(process.proc_path("exe"))) facts.program = *program;
  if (const auto start = read_start(process.proc_path("exe"), sizeof(Elf64_Ehdr))) {
    facts.kind = program_kind(*start);
  }
  facts.shows_calls = process.shows_calls();
  return facts;
}

}  // namespace sampler
