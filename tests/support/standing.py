"""Runs of the target standing.py, whatever program, root directory or namespace it runs in, and what must be seen of it."""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness  # noqa: E402

SCRIPT = os.path.join(harness.TARGETS, "standing.py")


def children(pid):
    """The processes that a process's first thread has started."""
    with open("/proc/%d/task/%d/children" % (pid, pid)) as file:
        return [int(child) for child in file.read().split()]


def frame_texts(frames):
    """Frames as a target told them, as `--full-paths` shows them."""
    return tuple(harness.frame_text(name.encode(), file.encode(), line) for name, file, line in frames)


class Standing:
    """A process that runs standing.py by `command`, or has a descendant that does. Ends with the test."""

    def __init__(self, test, command, generation=0, **popen):
        self.test = test
        environment = dict(os.environ, PYTHONDONTWRITEBYTECODE="1", **popen.pop("env", {}))
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0,
                                        env=environment, **popen)
        test.addCleanup(harness.end, self.process)
        self.reader = harness.LineReader(self.process.stdout.fileno(), command[0])
        self.facts = self.hear()
        self.pid = self.process.pid
        for _ in range(generation):
            self.pid, = children(self.pid)
            test.addCleanup(harness.end_stranger, self.pid)
        self.wait_to_stand()

    def hear(self):
        """What it says where everybody stands; again after it became another program."""
        return json.loads(self.reader.line())

    def wait_to_stand(self):
        harness.wait_until(lambda: harness.system_call(self.pid)[:2] == ["0", "0x0"], 10, "the main thread reads")

    def numbers(self):
        """{number in its own PID namespace: number here} of its threads."""
        return {status["NSpid"].split("\t")[-1]: tid for tid, status in harness.tasks(self.pid).items()}

    def assert_seen(self, *options, program=None, pid=None, inside=False, **popen):
        """Every thread stands where it says. `inside`: sampled by a `program` in its own namespace, where it is `pid`."""
        numbers = self.numbers()
        ours = {inner: int(inner) if inside else numbers[inner] for inner in numbers}
        run = harness.run_sampler(self.test, "-p", pid or self.pid, "-s", "0", "--threads", "--full-paths", *options,
                                  program=program, **popen)
        stacks = {tid: [stack.frames for stack in stacks] for tid, stacks in harness.stacks_by_thread(run).items()}
        for inner in self.facts["running"]:
            frames, = stacks.pop(ours[inner], [(b"missing",)])
            self.test.assertEqual(harness.name_of(frames[-1]), "spin", str(run))
        expected = {ours[inner]: [frame_texts(frames)] for inner, frames in self.facts["standing"].items()}
        self.test.assertEqual(stacks, expected, str(run))
        if self.facts["running"]:
            self.assert_holder_seen(*options, program=program, pid=pid, **popen)
        harness.assert_not_held(self.test, self.pid)
        return run

    def assert_holder_seen(self, *options, program=None, pid=None, **popen):
        """The thread that runs holds the GIL: it is stopped for its stack, by its true number."""
        run = harness.run_sampler(self.test, "-p", pid or self.pid, "-s", "0.2", "-g", *options, program=program, **popen)
        self.test.assertEqual({stack.names[-1] for stack in run.folded}, {"spin"}, str(run))
        self.test.assertGreaterEqual(run.total, 0.5 * run.summary.taken, str(run))


def start(test, executable, *arguments, **options):
    return Standing(test, [executable, SCRIPT] + [str(argument) for argument in arguments or ("3", "spin")], **options)
