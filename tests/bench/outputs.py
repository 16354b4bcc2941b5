"""Readers of what the profilers write. A stack is (names of its frames, root first; how often); names have no class."""
import re


def bare(name):
    """A function's name without what it is defined in: versions differ in what a profiler can know of that."""
    return name.rsplit(".", 1)[-1]


def _counted_lines(text):
    for line in text.splitlines():
        stack, _, count = line.rpartition(" ")
        if stack and count.isdigit():
            yield stack, int(count)


def folded(text):
    """Stacks of `name (file:line);... count`: ours, and py-spy's raw format."""
    for stack, count in _counted_lines(text):
        yield tuple(bare(frame.split(" (", 1)[0]) for frame in stack.split(";")), count


def collapsed(text):
    """Stacks of `tid:N;file:name:line;... count`: profiling.sampling's."""
    for stack, count in _counted_lines(text):
        frames = stack.split(";")
        yield tuple(_collapsed_name(frame) for frame in frames if not frame.startswith("tid:")), count


def _collapsed_name(frame):
    parts = frame.rsplit(":", 2)
    return bare(parts[1]) if len(parts) == 3 else frame


def damaged_samples(summary):
    """How many samples of our summary have no whole stack, and say so; <too deep> ones are what was asked for."""
    line = re.search(r"(?m)^samples .*$", summary)
    return sum(int(count) for count in re.findall(r"(\d+) <(?:unreadable|torn)>", line.group() if line else ""))


def late_stops(summary):
    """How many stops of our summary came after the spin: their ticks count as taken."""
    match = re.search(r"(?m)^ +(\d+) stops? came late$", summary)
    return int(match.group(1)) if match else 0


_MICROSECONDS = {"ns": 1e-3, "us": 1, "ms": 1e3, "s": 1e6}


def stop_p99(summary):
    """The 99th percentile of the stops of our summary, in microseconds; None where it stopped nobody."""
    match = re.search(r"(?m)^stopped .*\bp99 ([\d.]+) (ns|us|ms|s)\b", summary)
    return float(match.group(1)) * _MICROSECONDS[match.group(2)] if match else None


# The events of austin's binary format, as its documentation numbers them, and how many numbers each has.
(METADATA, STACK, FRAME, INVALID, REFERENCE, KERNEL, GC, IDLE, TIME, MEMORY, STRING, STRING_REFERENCE) = range(1, 13)
_NUMBERS = {INVALID: 0, GC: 0, IDLE: 0, TIME: 1, MEMORY: 1, STRING_REFERENCE: 1}
INVALID_NAME = "<invalid>"


class _Bytes:
    def __init__(self, data, at):
        self.data, self.at = data, at

    def number(self):
        """A varint: 6 bits and a sign in its first byte, 7 bits in each further one; the top bit says that one follows."""
        data, at = self.data, self.at
        byte = data[at]
        value, shift = byte & 0x3f, 6
        negative = byte & 0x40
        while byte & 0x80:
            at += 1
            byte = data[at]
            value |= (byte & 0x7f) << shift
            shift += 7
        self.at = at + 1
        return -value if negative else value

    def text(self):
        end = self.data.index(0, self.at)
        text = self.data[self.at:end].decode("utf-8", "replace")
        self.at = end + 1
        return text


class Mojo:
    """What is in a file of austin 4: its metadata, and a list of (thread, names, whether idle)."""

    def __init__(self, data):
        self.metadata, self.stacks = {}, []
        if data[:3] != b"MOJ":
            raise ValueError("not a file of austin: %r" % data[:16])
        source = _Bytes(data, 3)
        self._version = source.number()
        self._strings, self._frames = {}, {}
        self._thread, self._names, self._is_idle = None, [], False
        try:
            while source.at < len(data):
                self._event(source)
        except (IndexError, ValueError):
            pass  # austin was ended while it wrote: the last event is cut
        self._finish()

    def _finish(self):
        if self._thread is not None:
            self.stacks.append((self._thread, tuple(self._names), self._is_idle))
        self._thread, self._names, self._is_idle = None, [], False

    def _event(self, source):
        event = source.data[source.at]
        source.at += 1
        if event == REFERENCE:
            self._names.append(self._frames.get(source.number(), INVALID_NAME))
        elif event == METADATA:
            key = source.text()
            self.metadata[key] = source.text()
        elif event == STACK:
            self._finish()
            source.number()  # the process
            if self._version >= 3:
                source.number()  # the interpreter
            self._thread = source.text()
        elif event == FRAME:
            key, _, name, _ = (source.number() for _ in range(4))
            if self._version >= 2:
                for _ in range(3):  # end line, column, end column
                    source.number()
            self._frames[key] = bare(self._strings.get(name, INVALID_NAME))
        elif event == STRING:
            key = source.number()
            self._strings[key] = source.text()
        elif event == KERNEL:
            self._names.append(source.text())
        elif event in _NUMBERS:
            for _ in range(_NUMBERS[event]):
                source.number()
            if event == INVALID:
                self._names.append(INVALID_NAME)
            elif event == IDLE:
                self._is_idle = True
        else:
            raise ValueError("unknown event %d" % event)
