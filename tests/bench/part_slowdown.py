"""How much longer work takes while it is sampled: pairs of runs, with and without, of a CPU-bound and a gunicorn target."""
import contextlib
import os
import sys
import time

from bench import harness, peers
from bench.processes import Cleanup, Failed, Program, children, run, wait_until
from bench.profilers import governed
from bench.rounds import PROGRAMS, Alternating, target, without_file

NAME = "slowdown"
RATES = (100, 1000, 10000)
CLIENTS = 8


def measure(bench):
    """Everything of this part."""
    measure_work(bench)
    measure_server(bench)


def tools_for(bench, python):
    """The profilers of a target."""
    return bench.able(python) + bench.choose(governed(bench.profilers), [])


def rates(bench):
    """The rates of this run."""
    return bench.choose(RATES, RATES[:2])


def measure_rates(bench, cell, tools, pid, once, wanted_seconds):
    """`once()` is a run of the work: how long it took, or what stands for that."""
    for hz in rates(bench):
        with_rate = {**cell, "hz": hz}
        bench.say("slowdown: " + " ".join(map(str, with_rate.values())))
        alternating = Alternating(tools, bench.rounds(5, 1))
        for turn, tool in alternating:
            def pair(turn=turn, tool=tool):
                return paired(bench, tool, pid, hz, once, wanted_seconds, turn)
            if not bench.keep(NAME, with_rate, tool.name, turn, pair):
                alternating.done(tool)


def paired(bench, tool, pid, hz, once, wanted_seconds, turn):
    """One run with it and one without; which comes first alternates, so that a drift does not take sides."""
    plain = once() if turn % 2 == 0 else None
    with Cleanup() as cleanup:
        # A target that is slowed down needs longer, and must be sampled all the while.
        recording = tool.start(cleanup, pid, hz, 2 * wanted_seconds + 1, bench.directory).ready()
        time.sleep(0.15)
        sampled = once()
        covered = recording.program.wait(0) is None
        result = without_file(recording.cut().finish())
    plain = once() if plain is None else plain
    return {"slowdown": sampled / plain - 1, "plain": plain, "sampled": sampled, "covered": covered,
            "cpu_seconds": result.ended.cpu_seconds, "ticks": result.ticks, "stacks": result.stacks}


# --- CPU-bound ---------------------------------------------------------------------------------------------------

def measure_work(bench):
    """A program that computes."""
    for version, threads in bench.choose([("3.12", 1), ("3.12", 33), ("3.15", 1)], [("3.12", 1)]):
        for python in bench.versions((version,), (version,)):
            with bench.cell("slowdown: CPU-bound, %s, threads %d" % (version, threads)), \
                    target(python, "work.py", threads) as working:
                seconds = bench.choose(1.0, 0.5)
                turns = max(1, round(50 * seconds / min(working.ask(50) for _ in range(3))))
                cell = {"workload": "CPU-bound", "version": version, "threads": threads}
                measure_rates(bench, cell, tools_for(bench, python), working.pid,
                              lambda: working.ask(turns, timeout=600), seconds)


# --- gunicorn ----------------------------------------------------------------------------------------------------

def measure_server(bench):
    """A gunicorn with 32 threads under load."""
    for version in bench.choose(("3.12", "3.15"), ("3.12",)):
        for python in bench.versions((version,), (version,)):
            seconds = bench.choose(2, 1)
            with bench.cell("slowdown: gunicorn, %s" % version), server(bench, python) as (worker, address):
                requests(address, 1)
                cell = {"workload": "gunicorn", "version": version, "threads": 33}
                measure_rates(bench, cell, tools_for(bench, python), worker,
                              lambda: 1 / requests(address, seconds), seconds)


def requests(address, seconds):
    """Answered requests per second of one client program with several connections."""
    ended = run([sys.executable, os.path.join(PROGRAMS, "load.py"), address, CLIENTS, seconds], timeout=seconds + 60)
    answered, elapsed = ended.output.split()
    if int(answered) == 0:
        raise Failed("no request was answered")
    return int(answered) / float(elapsed)


@contextlib.contextmanager
def server(bench, python):
    """(its one worker's pid, its socket) of a gunicorn with 32 threads."""
    address = bench.path("gunicorn.sock")
    paths = os.pathsep.join((peers.server_path(), PROGRAMS))
    with Cleanup() as cleanup:
        # Ends with us, whatever happens; its worker, with it (application.py).
        program = Program(cleanup, ["setpriv", "--pdeathsig", "KILL", python.executable, "-m", "gunicorn",
                                    "--bind", "unix:" + address, "--workers", 1, "--worker-class", "gthread",
                                    "--threads", 32, "--keep-alive", 600, "--timeout", 600, "--log-level", "warning",
                                    "application:application"],
                          env=dict(os.environ, PYTHONPATH=paths, PYTHONDONTWRITEBYTECODE="1"), cwd=bench.directory)
        cleanup.callback(end_workers, program)

        def listening():
            if program.wait(0):
                raise Failed(program.complaint())
            return children(program.pid) if os.path.exists(address) else None
        workers = wait_until(listening, 20, "gunicorn listens")
        yield workers[0], address


def end_workers(program):
    """Asks gunicorn to end, which ends its worker; one that does not is killed, and so is the worker."""
    workers = children(program.pid) if program.wait(0) is None else []
    if program.wait(0) is None:
        program.process.terminate()
        program.wait(5)
    for worker in workers:
        harness.end_stranger(worker)
