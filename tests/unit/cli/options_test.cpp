#include "cli/options.h"

#include <array>
#include <chrono>
#include <initializer_list>
#include <sstream>
#include <vector>

#include "catch.h"
#include "sampler/base/error.h"

namespace sampler {
namespace {

using namespace std::chrono_literals;

Options parse(std::initializer_list<const char*> args) {
  return parse_options({args.begin(), args.size()});
}

/// Each mistake is one line that names it, and a hint that names the cure.
void check_mistake(std::initializer_list<const char*> args, const std::string& what,
                   const std::string& cure) {
  try {
    (void)parse(args);
    FAIL("no error: " << what);
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::usage);
    CHECK_THAT(error.what(), Catch::Contains(what));
    CHECK_THAT(error.hint(), Catch::Contains(cure));
    CHECK(std::string{error.what()}.find('\n') == std::string::npos);
  }
}

using Words = std::vector<std::string>;

}  // namespace

TEST_CASE("a process is recorded for a second at 100 Hz, all threads, to standard output", "[cli]") {
  const auto options = parse({"-p", "42"});
  CHECK(options.command == Command::record);
  CHECK(options.pid == Pid{42});
  CHECK(options.trace.empty());
  CHECK(options.output.empty());
  CHECK(options.sampling.interval == 10ms);
  CHECK(options.sampling.duration == 1s);
  CHECK(options.sampling.mode == Mode::wall);
  CHECK_FALSE(options.sampling.report_idle);
  CHECK(options.format.style == FrameStyle::sampler);
  CHECK(options.format.line_numbers);
  CHECK_FALSE(options.format.thread_roots);
  CHECK_FALSE(options.format.full_paths);
  CHECK_FALSE(options.abi);
  CHECK_FALSE(options.quiet);
}

TEST_CASE("the first word may be the command", "[cli]") {
  CHECK(parse({"record", "-p", "42"}).command == Command::record);
  CHECK(parse({"dump", "-p", "42"}).command == Command::dump);
  CHECK(parse({"-d", "-p", "42"}).command == Command::dump);
  CHECK(parse({"-dp", "42"}).command == Command::dump);
  CHECK(parse({"dump", "-d", "-p", "42"}).command == Command::dump);
}

TEST_CASE("the doctor needs no process, and may look at one", "[cli]") {
  CHECK(parse({"doctor"}).command == Command::doctor);
  CHECK_FALSE(parse({"doctor"}).pid);
  CHECK(parse({"doctor", "-p", "42"}).pid == Pid{42});
  CHECK(parse({"doctor", "--layout-dir", "/x", "--log", "debug"}).layout_directory == "/x");
}

TEST_CASE("layout files can be added to every command", "[cli]") {
  CHECK(parse({"-p", "42", "--layout-dir", "/x"}).layout_directory == "/x");
  CHECK(parse({"dump", "-p", "42", "--layout-dir=/x"}).layout_directory == "/x");
  CHECK(parse({"--layout-dir", "/x", "--", "python"}).layout_directory == "/x");
  CHECK(parse({"-p", "42"}).layout_directory.empty());
}

TEST_CASE("every long option has the meaning of its letter", "[cli]") {
  const auto options = parse({"--pid", "42", "--seconds=2.5", "--rate", "0.001", "--output=x.samp",
                              "--exclude-idle", "--no-line-numbers", "--quiet"});
  CHECK(options.pid == Pid{42});
  CHECK(options.sampling.duration == 2500ms);
  CHECK(options.sampling.interval == 1ms);
  CHECK(options.output == "x.samp");
  CHECK(options.sampling.mode == Mode::active);
  CHECK_FALSE(options.format.line_numbers);
  CHECK(options.quiet);
}

TEST_CASE("letters share a dash and carry their value as getopt has it", "[cli]") {
  const auto options = parse({"-xnqp42", "-s0", "-ox.samp"});
  CHECK(options.pid == Pid{42});
  CHECK(options.sampling.duration == 0s);
  CHECK(options.output == "x.samp");
  CHECK(options.sampling.mode == Mode::active);
  CHECK_FALSE(options.format.line_numbers);
  CHECK(options.quiet);
}

TEST_CASE("a word too many after an option without its value is told by that option", "[cli]") {
  check_mistake({"-p", "-s", "300"}, "'-s' was taken for the value of -p", "give -p its value before -s");
  check_mistake({"-s", "-p", "42"}, "'-p' was taken for the value of -s", "give -s its value");
  check_mistake({"-p", "--seconds=3", "9"}, "'--seconds=3' was taken for the value of -p", "give -p its");
  check_mistake({"-p", "42", "-o", "--hz", "100"}, "'--hz' was taken for the value of -o", "give -o its");
  check_mistake({"-p", "42", "-o-x.txt", "7"}, "'7' belongs to no option", "seconds are -s 7");
  check_mistake({"-p", "42", "-s", "-1", "7"}, "'7' belongs to no option", "seconds are -s 7");
}

TEST_CASE("a value may look like an option", "[cli]") {
  CHECK(parse({"-p", "42", "-o", "-t"}).output == "-t");
  CHECK(parse({"-p", "42", "--output", "--"}).output == "--");
  CHECK(parse({"-p", "42", "-o", "-"}).output == "-");
  CHECK(parse({"-p", "42", "--output=a=b"}).output == "a=b");
}

TEST_CASE("everything after -t belongs to the command", "[cli]") {
  const auto options = parse({"-s", "1", "-t", "python", "-x", "--pid", "7", "-t", "--"});
  CHECK(options.trace == Words{"python", "-x", "--pid", "7", "-t", "--"});
  CHECK(options.sampling.mode == Mode::wall);
  CHECK(options.sampling.duration == 1s);
  CHECK_FALSE(options.pid);
}

TEST_CASE("everything after two dashes belongs to the command", "[cli]") {
  CHECK(parse({"--", "python", "-s", "5"}).trace == Words{"python", "-s", "5"});
  CHECK(parse({"record", "-n", "--", "dump", "-t"}).trace == Words{"dump", "-t"});
  CHECK(parse({"--trace", "--", "python"}).trace == Words{"python"});
}

TEST_CASE("-t may end a cluster of letters", "[cli]") {
  const auto options = parse({"-xt", "python", "-n"});
  CHECK(options.trace == Words{"python", "-n"});
  CHECK(options.sampling.mode == Mode::active);
  CHECK(options.format.line_numbers);
}

TEST_CASE("a command is sampled until it ends unless a time is given", "[cli]") {
  CHECK_FALSE(parse({"--", "python"}).sampling.duration);
  CHECK(parse({"-s", "3", "--", "python"}).sampling.duration == 3s);
}

TEST_CASE("a run without an end goes on until a signal", "[cli]") {
  CHECK_FALSE(parse({"-p", "42", "-s", "inf"}).sampling.duration);
}

TEST_CASE("times are rounded to nanoseconds but never to none", "[cli]") {
  CHECK(parse({"-p", "42", "-s", "0.003", "-r", "0.001"}).sampling.duration == 3ms);
  CHECK(parse({"-p", "42", "-s", "1e9"}).sampling.duration == 1'000'000'000s);
  CHECK(parse({"-p", "42", "-r", "1e-12"}).sampling.interval == 1ns);
}

TEST_CASE("ticks can be given per second", "[cli]") {
  CHECK(parse({"-p", "42", "--hz", "1000"}).sampling.interval == 1ms);
  CHECK(parse({"-p", "42", "--hz=0.5", "-s", "60"}).sampling.interval == 2s);
  CHECK(parse({"-p", "42", "--hz", "max"}).sampling.interval == 0ns);
}

TEST_CASE("one tick needs no interval", "[cli]") {
  const auto options = parse({"-p", "42", "-s", "0", "-r", "100"});
  CHECK(options.sampling.duration == 0s);
}

TEST_CASE("modes have short names", "[cli]") {
  CHECK(parse({"-p", "42", "-x"}).sampling.mode == Mode::active);
  CHECK(parse({"-p", "42", "-g"}).sampling.mode == Mode::gil);
  CHECK(parse({"-p", "42", "--gil"}).sampling.mode == Mode::gil);
  CHECK(parse({"-p", "42", "-gx"}).sampling.mode == Mode::gil);
  CHECK(parse({"-p", "42", "--mode", "wall"}).sampling.mode == Mode::wall);
  CHECK(parse({"-p", "42", "--mode", "cpu"}).sampling.mode == Mode::cpu);
  CHECK(parse({"-p", "42", "--mode", "gil", "-g"}).sampling.mode == Mode::gil);
  CHECK(parse({"-p", "42", "--mode", "gil", "-x"}).sampling.mode == Mode::gil);
  CHECK(parse({"-p", "42", "--mode", "active", "-x"}).sampling.mode == Mode::active);
}

TEST_CASE("a thread that runs is stopped by its tracer unless another way is given", "[cli]") {
  CHECK(parse({"-p", "42"}).sampling.hold == Hold::ptrace);
  CHECK(parse({"-p", "42", "--hold", "ptrace"}).sampling.hold == Hold::ptrace);
  CHECK(parse({"-p", "42", "--hold=preempt"}).sampling.hold == Hold::preempt);
  CHECK(parse({"-p", "42", "--hold", "none"}).sampling.hold == Hold::none);
  CHECK(parse({"--hold", "preempt", "--", "python"}).sampling.hold == Hold::preempt);
  CHECK(parse({"dump", "-p", "42", "--hold", "preempt"}).sampling.hold == Hold::preempt);
}

TEST_CASE("the sampler goes before others unless it is to be as they are", "[cli]") {
  CHECK(parse({"-p", "42"}).sampling.priority == Priority::high);
  CHECK(parse({"-p", "42", "--priority", "high"}).sampling.priority == Priority::high);
  CHECK(parse({"-p", "42", "--priority=normal"}).sampling.priority == Priority::normal);
  CHECK(parse({"dump", "-p", "42", "--priority", "normal"}).sampling.priority == Priority::normal);
  check_mistake({"-p", "42", "--priority", "low"}, "unknown priority 'low'", "--priority high or");
}

TEST_CASE("not to hold a thread has more than one name", "[cli]") {
  CHECK(parse({"-p", "42", "--nonblocking"}).sampling.hold == Hold::none);
  CHECK(parse({"-p", "42", "--no-stop"}).sampling.hold == Hold::none);
  CHECK(parse({"-p", "42", "--no-stop", "--nonblocking", "--hold", "none"}).sampling.hold == Hold::none);
  CHECK(parse({"dump", "-p", "42", "--no-stop"}).sampling.hold == Hold::none);
}

TEST_CASE("idle ticks are reported where Pyflame reports them", "[cli]") {
  CHECK(parse({"-p", "42", "-g", "--style", "pyflame"}).sampling.report_idle);
  CHECK_FALSE(parse({"-p", "42", "-gx", "--style", "pyflame"}).sampling.report_idle);
  CHECK_FALSE(parse({"-p", "42", "--style", "pyflame"}).sampling.report_idle);
  CHECK_FALSE(parse({"-p", "42", "-g"}).sampling.report_idle);
}

TEST_CASE("what is written can be chosen", "[cli]") {
  const auto options = parse({"-p", "42", "--threads", "--style", "pyflame", "--full-paths"});
  CHECK(options.format.thread_roots);
  CHECK(options.format.style == FrameStyle::pyflame);
  CHECK(options.format.full_paths);
  CHECK(parse({"-p", "42", "--style=sampler"}).format.style == FrameStyle::sampler);
}

TEST_CASE("log levels are passed on", "[cli]") {
  CHECK(parse({"-p", "42", "--log", "cpython=debug"}).log == "cpython=debug");
}

TEST_CASE("an ABI is a version without its dot", "[cli]") {
  CHECK(parse({"-p", "42", "--abi", "26"}).abi == PythonVersion{2, 6});
  CHECK(parse({"-p", "42", "--abi", "27"}).abi == PythonVersion{2, 7});
  CHECK(parse({"-p", "42", "--abi=36"}).abi == PythonVersion{3, 6});
  CHECK(parse({"-p", "42", "--abi", "312"}).abi == PythonVersion{3, 12});
  CHECK(parse({"-p", "42", "--abi", "313t"}).abi == PythonVersion{3, 13, true});
}

TEST_CASE("a dump is one tick of all threads or of those of a mode", "[cli]") {
  const auto options = parse({"dump", "-p", "42"});
  CHECK(options.sampling.duration == 0s);
  CHECK(options.sampling.mode == Mode::wall);
  CHECK(parse({"dump", "-g", "-p", "42"}).sampling.mode == Mode::gil);
}

TEST_CASE("a dump in Pyflame's style shows all threads", "[cli]") {
  CHECK(parse({"-d", "-g", "--style", "pyflame", "-p", "42"}).sampling.mode == Mode::wall);
}

TEST_CASE("help and version need nothing else", "[cli]") {
  CHECK(parse({"-h"}).help);
  CHECK(parse({"--help"}).help);
  CHECK(parse({"dump", "--help"}).help);
  CHECK(parse({"-v"}).version);
  CHECK(parse({"--version"}).version);
  CHECK(parse({"-h", "-s", "garbage"}).help);
}

TEST_CASE("no target is an error that says how to name one", "[cli]") {
  check_mistake({}, "no process to sample", "sampler -p PID");
  check_mistake({"-s", "3"}, "no process to sample", "sampler -- python app.py");
  check_mistake({"record"}, "no process to sample", "sampler -p PID");
  check_mistake({"dump"}, "no process to sample", "sampler dump -p PID");
}

TEST_CASE("a bare number is an error that names -p", "[cli]") {
  check_mistake({"1234"}, "'1234' belongs to no option", "sampler -p 1234");
  check_mistake({"-d", "30", "-p", "42"}, "'30' belongs to no option", "seconds are -s 30");
}

TEST_CASE("other words are errors that say where they go", "[cli]") {
  check_mistake({"python", "app.py"}, "'python' is no command", "sampler -- python ARGS");
  check_mistake({"-p", "42", "dump"}, "'dump' is not the first word", "sampler dump OPTIONS");
  check_mistake({"-p", "42", "doctor"}, "'doctor' is not the first word", "sampler doctor OPTIONS");
  check_mistake({""}, "'' is no command", "record, dump and doctor");
  check_mistake({"-p", "42", "-"}, "'-' is no command", "record, dump and doctor");
}

TEST_CASE("what is no process id is an error", "[cli]") {
  check_mistake({"-p", "0"}, "'0' is not a process id", "-p");
  check_mistake({"-p", "-1"}, "'-1' is not a process id", "-p");
  check_mistake({"-p", "1606938044258990275541962092341162602522202993782792835301376"},
                "is not a process id", "-p");
  check_mistake({"-p", "2147483648"}, "is not a process id", "-p");
  check_mistake({"-p", "not a pid"}, "'not a pid' is not a process id", "-p");
  check_mistake({"-p", "42x"}, "'42x' is not a process id", "-p");
  check_mistake({"-p", "+42"}, "'+42' is not a process id", "-p");
  check_mistake({"-p", " 42"}, "' 42' is not a process id", "-p");
}

TEST_CASE("what is no time is an error that says what is", "[cli]") {
  check_mistake({"-p", "42", "-s", "-1"}, "'-1' is not a number of seconds for -s", "-s inf");
  check_mistake({"-p", "42", "-s", "nan"}, "'nan'", "-s inf");
  check_mistake({"-p", "42", "-s", "-inf"}, "'-inf'", "-s inf");
  check_mistake({"-p", "42", "-s", "abc"}, "'abc'", "-s inf");
  check_mistake({"-p", "42", "-s", "1,5"}, "'1,5'", "-s inf");
  check_mistake({"-p", "42", "-s", "10s"}, "'10s'", "-s inf");
  check_mistake({"-p", "42", "-s", "1e10"}, "'1e10'", "-s inf");
  check_mistake({"-p", "42", "-s", "1e999"}, "'1e999'", "-s inf");
}

TEST_CASE("what is no interval is an error that names --hz", "[cli]") {
  check_mistake({"-p", "42", "-r", "0"}, "'0' is not a number of seconds between ticks for -r", "--hz 100");
  check_mistake({"-p", "42", "-r", "-0.01"}, "'-0.01'", "--hz 100");
  check_mistake({"-p", "42", "-r", "nan"}, "'nan'", "--hz 100");
  check_mistake({"-p", "42", "-r", "inf"}, "'inf'", "--hz 100");
  check_mistake({"-p", "42", "-r", "abc"}, "'abc'", "--hz 100");
}

TEST_CASE("what is no number of ticks per second is an error", "[cli]") {
  check_mistake({"-p", "42", "--hz", "0"}, "'0' is not a number of ticks per second", "--hz max");
  check_mistake({"-p", "42", "--hz", "-5"}, "'-5'", "--hz max");
  check_mistake({"-p", "42", "--hz", "inf"}, "'inf'", "--hz max");
  check_mistake({"-p", "42", "--hz", "nan"}, "'nan'", "--hz max");
  check_mistake({"-p", "42", "--hz", "1e10"}, "'1e10'", "--hz max");
  check_mistake({"-p", "42", "--hz", "1e-300"}, "'1e-300'", "--hz max");
  check_mistake({"-p", "42", "--hz", "fast"}, "'fast'", "--hz max");
}

TEST_CASE("the limit on the time that a target is held is 5 % where none is given", "[cli]") {
  CHECK(parse({"-p", "42"}).sampling.max_overhead == 5);
  CHECK(parse({"-p", "42", "--max-overhead", "0"}).sampling.max_overhead == 0);
  CHECK(parse({"-p", "42", "--max-overhead=0.5"}).sampling.max_overhead == 0.5);
  CHECK(parse({"-p", "42", "--max-overhead", "100"}).sampling.max_overhead == 100);
}

TEST_CASE("what is no share of the time is an error that names --max-overhead", "[cli]") {
  for (const char* const value : {"-1", "101", "nan", "inf", "5%", "much"}) {
    check_mistake({"-p", "42", "--max-overhead", value}, value, "--max-overhead 5");
  }
  check_mistake({"-p", "42", "--max-overhead"}, "--max-overhead needs a value", "--max-overhead N");
  check_mistake({"dump", "-p", "42", "--max-overhead", "3"}, "--max-overhead means nothing to a dump",
                "leave it out");
}

TEST_CASE("an interval longer than the run is an error that names --hz", "[cli]") {
  check_mistake({"-p", "42", "-r", "100"}, "the interval of 100 s is longer than the run of 1 s",
                "use --hz 100;");
  check_mistake({"-p", "42", "-r", "100", "-s", "10"}, "longer than the run of 10 s", "use --hz 100;");
  check_mistake({"-s", "5", "-r", "100", "--", "python"}, "longer than the run of 5 s", "use --hz 100;");
  check_mistake({"-p", "42", "--hz", "0.5"}, "the interval of 2 s is longer", "use a higher --hz");
  check_mistake({"-p", "42", "-s", "0.001"}, "the interval of 0.01 s is longer", "--hz");
  CHECK(parse({"-p", "42", "-r", "1"}).sampling.interval == 1s);
}

TEST_CASE("contradictions are errors that name both sides", "[cli]") {
  check_mistake({"-p", "42", "-t", "python"}, "-p and -t contradict", "not both");
  check_mistake({"-p", "42", "--", "python"}, "-p and -- contradict", "not both");
  check_mistake({"-d", "-t", "python"}, "-d and -t contradict", "sampler dump -p PID");
  check_mistake({"dump", "--", "python"}, "dump and -- contradict", "sampler dump -p PID");
  check_mistake({"record", "-d", "-p", "42"}, "record and -d contradict", "sampler dump");
  check_mistake({"doctor", "--", "python"}, "doctor and -- contradict", "sampler doctor -p PID");
  check_mistake({"doctor", "-d", "-p", "42"}, "doctor and -d contradict", "sampler dump");
  check_mistake({"-p", "42", "-r", "0.01", "--hz", "100"}, "-r and --hz contradict", "one of them");
  check_mistake({"-p", "42", "-g", "--mode", "wall"}, "-g and --mode wall contradict", "one of them");
  check_mistake({"-p", "42", "-g", "--mode", "active"}, "-g and --mode active contradict", "one of them");
  check_mistake({"-p", "42", "-x", "--mode", "wall"}, "-x and --mode wall contradict", "one of them");
  check_mistake({"-p", "42", "-x", "--mode", "cpu"}, "-x and --mode cpu contradict", "one of them");
  check_mistake({"-p", "42", "--no-stop", "--hold", "ptrace"}, "--no-stop and --hold ptrace contradict",
                "one of them");
  check_mistake({"-p", "42", "--nonblocking", "--hold=preempt"},
                "--nonblocking and --hold preempt contradict", "one of them");
  check_mistake({"dump", "-p", "42", "--no-stop", "--hold", "preempt"},
                "--no-stop and --hold preempt contradict", "one of them");
}

TEST_CASE("times mean nothing to a dump", "[cli]") {
  check_mistake({"dump", "-p", "42", "-s", "3"}, "-s means nothing to a dump", "leave it out");
  check_mistake({"-d", "-p", "42", "-r", "0.1"}, "-r means nothing to a dump", "leave it out");
  check_mistake({"dump", "-p", "42", "--hz", "3"}, "--hz means nothing to a dump", "leave it out");
}

TEST_CASE("options of sampling mean nothing to the doctor", "[cli]") {
  check_mistake({"doctor", "-p", "42", "-s", "3"}, "-s means nothing to the doctor", "sampler doctor");
  check_mistake({"doctor", "-r", "0.1"}, "-r means nothing to the doctor", "leave it out");
  check_mistake({"doctor", "-o", "x.samp"}, "-o means nothing to the doctor", "leave it out");
  check_mistake({"doctor", "--style", "pyflame"}, "--style means nothing to the doctor", "leave it out");
  check_mistake({"doctor", "--abi", "312"}, "--abi means nothing to the doctor", "leave it out");
  check_mistake({"doctor", "-q"}, "-q means nothing to the doctor", "leave it out");
  check_mistake({"doctor", "-x"}, "-x means nothing to the doctor", "leave it out");
  check_mistake({"doctor", "--no-stop"}, "--no-stop means nothing to the doctor", "leave it out");
  check_mistake({"doctor", "--hold", "none"}, "--hold means nothing to the doctor", "leave it out");
  check_mistake({"doctor", "--threads"}, "--threads means nothing to the doctor", "leave it out");
}

TEST_CASE("unknown values are errors that list the known ones", "[cli]") {
  check_mistake({"-p", "42", "--mode", "idle"}, "unknown mode 'idle'", "wall, active, cpu or gil");
  check_mistake({"-p", "42", "--hold", "still"}, "unknown way to hold 'still'", "ptrace, preempt or none");
  check_mistake({"-p", "42", "--hold", ""}, "--hold needs a value", "--hold HOW");
  check_mistake({"-p", "42", "--style", "py-spy"}, "unknown style 'py-spy'", "pyflame");
  check_mistake({"-p", "42", "--abi", "0"}, "unknown ABI '0'", "27, 38 or 313t");
  check_mistake({"-p", "42", "--abi", "3.9"}, "unknown ABI '3.9'", "27, 38 or 313t");
  check_mistake({"-p", "42", "--abi", "25"}, "unknown ABI '25'", "27, 38 or 313t");
  check_mistake({"-p", "42", "--abi", "309"}, "unknown ABI '309'", "27, 38 or 313t");
  check_mistake({"-p", "42", "--abi", "t"}, "unknown ABI 't'", "27, 38 or 313t");
  check_mistake({"-p", "42", "--abi", "313tt"}, "unknown ABI '313tt'", "27, 38 or 313t");
  check_mistake({"-p", "42", "--abi", "3100"}, "unknown ABI '3100'", "27, 38 or 313t");
}

TEST_CASE("unknown options are errors, abbreviations among them", "[cli]") {
  check_mistake({"-p", "42", "--flamechart"}, "unknown option '--flamechart'", "sampler --help");
  check_mistake({"-p", "42", "--no-line"}, "unknown option '--no-line'", "cannot be abbreviated");
  check_mistake({"--sec=3", "-p", "42"}, "unknown option '--sec", "sampler --help");
  check_mistake({"-p", "42", "-z"}, "unknown option '-z'", "sampler --help");
  check_mistake({"-xzp", "42"}, "unknown option '-z'", "sampler --help");
  check_mistake({"-1"}, "unknown option '-1'", "sampler --help");
}

TEST_CASE("an option given twice is an error", "[cli]") {
  check_mistake({"-p", "42", "--pid=43"}, "--pid is given twice", "once");
  check_mistake({"-p", "42", "-x", "-x"}, "--exclude-idle is given twice", "once");
}

TEST_CASE("a missing value is an error that says what belongs there", "[cli]") {
  check_mistake({"-p"}, "-p needs a value", "-p PID");
  check_mistake({"-p", "42", "--seconds"}, "--seconds needs a value", "--seconds SECS");
  check_mistake({"--pid=", "-n"}, "--pid needs a value", "--pid PID");
  check_mistake({"-p", "42", "-o", ""}, "-o needs a value", "-o FILE");
}

TEST_CASE("a value for what takes none is an error", "[cli]") {
  check_mistake({"-p", "42", "--gil=yes"}, "--gil takes no value", "sampler --help");
  check_mistake({"--trace=python"}, "--trace takes no value after '='", "sampler --help");
}

TEST_CASE("-t without a command is an error that shows one", "[cli]") {
  check_mistake({"-t"}, "no command to run after -t", "sampler -t python app.py");
  check_mistake({"--"}, "no command to run after --", "sampler -- python app.py");
  check_mistake({"-t", "--"}, "no command to run after -t", "sampler -t python app.py");
  check_mistake({"-tpython"}, "'python' follows -t without a space", "-t CMD");
}

TEST_CASE("the help fits 100 columns, names every option and ends its last line", "[cli]") {
  const auto help = help_text();
  std::istringstream lines{help};
  for (std::string line; std::getline(lines, line);) CHECK(line.size() <= 100);
  CHECK(help.ends_with('\n'));
  CHECK_THAT(help, Catch::Contains("-p, --pid PID"));
  CHECK_THAT(help, Catch::Contains("-t, --trace CMD..."));
  CHECK_THAT(help, Catch::Contains("    --hz N"));
  CHECK_THAT(help, Catch::Contains("    --hold HOW"));
  CHECK_THAT(help, Catch::Contains("    --nonblocking"));
  CHECK_THAT(help, Catch::Contains("    --no-stop"));
  CHECK_THAT(help, Catch::Contains("-v, --version"));
  CHECK_THAT(help, Catch::Contains("sampler dump"));
  CHECK_THAT(help, Catch::Contains("sampler doctor"));
  CHECK_THAT(help, Catch::Contains("    --layout-dir DIR"));
  CHECK_THAT(help, Catch::Contains("9 no stack taken"));
}

TEST_CASE("the version lists the Pythons it knows as Pyflame did", "[cli]") {
  const std::array versions{PythonVersion{2, 7}, PythonVersion{3, 6}, PythonVersion{3, 13, true}};
  CHECK_THAT(version_text(versions), Catch::Matches(R"(sampler \d+\.\d+\.\d+ \(ABI list: 27 36 313t\)\n)"));
}

TEST_CASE("a command line that asks for a command does so whatever is wrong with it", "[cli]") {
  for (const std::vector<const char*>& args :
       std::vector<std::vector<const char*>>{{"--", "true"},
                                             {"-t", "true"},
                                             {"--trace", "true"},
                                             {"--hz", "bad", "-qt", "true"},
                                             {"-Z", "--", "true"},
                                             {"-Zt", "true"},
                                             {"--quiet=1", "--", "true"},
                                             {"-o", "", "--", "true"},
                                             {"--unknown", "--", "true"},
                                             {"-ttrue"},
                                             {"--trace=true"},
                                             {"--"},
                                             {"-p", "1", "--", "true"}}) {
    CAPTURE(args);
    CHECK(asks_for_command(args));
  }
}

TEST_CASE("a value or a word that looks like a command's mark asks for none", "[cli]") {
  for (const std::vector<const char*>& args :
       std::vector<std::vector<const char*>>{{"--hz", "bad", "-p", "1", "-o", "--"},
                                             {"-p", "1", "-o", "-t"},
                                             {"-o--trace", "-p", "x"},
                                             {"-Z"},
                                             {"-p", "1", "--hz"},
                                             {}}) {
    CAPTURE(args);
    CHECK_FALSE(asks_for_command(args));
  }
}

TEST_CASE("of several mistakes the first is told", "[cli]") {
  check_mistake({"-Z", "--quiet=1", "--"}, "unknown option '-Z'", "--help");
  check_mistake({"-o", "", "-Z"}, "-o needs a value", "use -o");
}

}  // namespace sampler
