"""What a target in which threads and processes come and go all the time can still do while it is sampled."""
import statistics

from bench import outputs
from bench.part_pause import sampled_window
from bench.processes import Failed
from bench.rounds import Alternating, target

HZ = 100


class Churn:
    """The target; `window` is what it did in so many seconds."""

    def __init__(self, churning):
        self.churning = churning

    def window(self, seconds):
        done = self.churning.ask(seconds, timeout=20 * seconds + 60)
        if not done["turns"]:
            raise Failed("%d threads and %d children a second left no time for work" % (done["threads"], done["children"]))
        return done


def compared(before, during, after, note):
    """What a window with the profiler did, as a share of those before and after it."""
    quiet = statistics.mean((before["turns"], after["turns"]))
    return {"throughput": during["turns"] / quiet, "stop_p99_us": outputs.stop_p99(note),
            "threads_per_second": during["threads"], "children_per_second": during["children"]}


def measure(bench):
    """Everything of this part."""
    seconds = bench.choose(5, 1)
    for python in bench.versions(("3.12", "3.15"), ("3.12",)):
        cell = {"version": python.version, "hz": HZ}
        with bench.cell("churn: " + python.version), target(python, "churn.py") as churning:
            churn = Churn(churning)
            quiet = [churn.window(seconds)]
            alternating = Alternating(bench.able(python), bench.rounds(5, 1))
            for turn, tool in alternating:
                def record():
                    during, result = sampled_window(bench, churn, tool, churning.pid, HZ, seconds)
                    quiet.append(churn.window(seconds))
                    return compared(quiet[-2], during, quiet[-1], result.note)
                if not bench.keep("churn", cell, tool.name, turn, record):
                    alternating.done(tool)
