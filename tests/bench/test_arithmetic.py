"""The arithmetic of the benchmark, without a target: python3 -m unittest discover -s tests/bench -t tests"""
import itertools
import unittest

from bench import bars, figures, outputs, part_peak, part_pause, part_start, part_truth, processes, profilers, report, rounds


class Figures(unittest.TestCase):
    def test_a_spread_is_median_least_and_most_of_what_is_there(self):
        self.assertEqual(figures.spread([3, None, 1, 10]), (3, 1, 10))

    def test_nothing_has_no_spread(self):
        self.assertIsNone(figures.spread([None]))

    def test_pauses_are_found_among_the_gaps_of_interrupts(self):
        noise = [6, 7, 8] * 100
        pauses = [30] * 60 + [50] * 40
        self.assertEqual(figures.excess_quantile(noise + pauses, noise, 100, 0.5), 30)
        self.assertEqual(figures.excess_quantile(noise + pauses, noise, 100, 0.99), 50)

    def test_quiet_windows_of_another_length_are_weighed(self):
        noise = [40] * 100
        self.assertEqual(figures.excess_quantile([40] * 50 + [20] * 10, noise, 10, 0.5, weight=0.5), 20)

    def test_pauses_too_short_to_be_gaps_have_no_median(self):
        self.assertIsNone(figures.excess_quantile([6, 7, 30], [6, 7], 100, 0.5))

    def test_total_variation_of_the_same_shares_is_nothing(self):
        self.assertEqual(figures.total_variation({1: 1, 2: 3}, {1: 10, 2: 30}), 0)

    def test_total_variation_of_what_has_nothing_in_common_is_one(self):
        self.assertEqual(figures.total_variation({1: 5}, {2: 7}), 1)

    def test_ratios_leave_out_rounds_that_one_lacks(self):
        self.assertEqual(figures.ratios({0: 10, 1: 20, 2: 5}, {0: 5, 2: None}), [2])


class Outputs(unittest.TestCase):
    def test_folded_lines_become_bare_names(self):
        text = "Thread.run (threading.py:1010);start.<locals>.<lambda> (a b.py:3);f (x.py:1) 12\n\nnot a line\n"
        self.assertEqual(list(outputs.folded(text)), [(("run", "<lambda>", "f"), 12)])

    def test_collapsed_lines_lose_their_thread(self):
        text = "tid:7;threading.py:Thread.run:1161;a:b.py:f:3 4\n"
        self.assertEqual(list(outputs.collapsed(text)), [(("run", "f"), 4)])

    def test_the_varint_of_austins_documentation(self):
        source = outputs._Bytes(b"\xc3\x02\x05", 0)
        self.assertEqual((source.number(), source.number()), (-131, 5))

    def test_a_stack_of_austin_is_its_references(self):
        data = (b"MOJ\x03" b"\x01mode\0wall\0" b"\x02\x01\x002a\0" b"\x0b\x01a.py\0" b"\x0b\x02Thing.f\0"
                b"\x03\x05\x01\x02\x09\x09\x00\x00" b"\x05\x05" b"\x05\x05" b"\x08" b"\x09\x14"
                b"\x02\x01\x002b\0" b"\x04" b"\x09\x00")
        mojo = outputs.Mojo(data)
        self.assertEqual(mojo.metadata, {"mode": "wall"})
        self.assertEqual(mojo.stacks, [("2a", ("f", "f"), True), ("2b", ("<invalid>",), False)])

    def test_a_file_of_austin_may_be_cut(self):
        self.assertEqual(outputs.Mojo(b"MOJ\x03" b"\x02\x01\x002a\0" b"\x05").stacks, [("2a", (), False)])

    def test_samples_without_a_whole_stack_are_counted_from_the_summary(self):
        summary = "ticks    9 asked\nsamples  80 of 8 threads, 2 <too deep>, 3 <unreadable>, 4 <torn>\nstopped  5 times\n"
        self.assertEqual(outputs.damaged_samples(summary), 7)
        self.assertEqual(outputs.damaged_samples("samples  80 of 8 threads\n"), 0)

    def test_the_longest_stops_are_read_from_the_summary(self):
        self.assertEqual(outputs.stop_p99("stopped  9 times: median 47.9 us, p99 2.5 ms, 3 ms in all"), 2500)
        self.assertIsNone(outputs.stop_p99("stopped  never"))

    def test_stops_that_came_late_are_read_from_the_summary(self):
        self.assertEqual(outputs.late_stops("stopped  5 times: median 1 us\n         1 stop came late\n"), 1)
        self.assertEqual(outputs.late_stops("stopped  never\n"), 0)

    def test_the_line_that_tells_why_is_found(self):
        self.assertEqual(processes.telling_line("starting\n\x1b[1mError: no such thing\nhint\n"), "Error: no such thing")


class Cells(unittest.TestCase):
    def setUp(self):
        self.bench = rounds.Bench.__new__(rounds.Bench)
        self.bench.rows, self.bench.missing, self.bench.say = [], [], lambda text: None
        self.bench.after_cell = lambda: None

    def test_a_target_that_ended_ends_its_cell_only(self):
        with self.bench.cell("pause: 3.12"):
            raise BrokenPipeError(32, "Broken pipe")
        self.assertEqual(self.bench.missing, ["pause: 3.12: [Errno 32] Broken pipe"])

    def test_a_failure_without_words_has_a_name(self):
        def fail():
            raise AssertionError
        self.assertFalse(self.bench.keep("pause", {}, "austin", 0, fail))
        self.assertEqual(self.bench.rows[0]["error"], "AssertionError")


class Rounds(unittest.TestCase):
    def test_rounds_without_a_limit_end_when_nobody_is_left(self):
        alternating, seen = rounds.Alternating("ab", itertools.count()), []
        for turn, tool in alternating:
            seen.append((turn, tool))
            if turn == 1:
                alternating.done(tool)
        self.assertEqual(seen, [(0, "a"), (0, "b"), (1, "b"), (1, "a")])

    def test_no_tools_have_no_rounds(self):
        self.assertEqual(list(rounds.Alternating((), range(3))), [])


class Programs(unittest.TestCase):
    def test_a_program_that_is_not_there_is_a_failure(self):
        with self.assertRaisesRegex(processes.Failed, "^/nowhere/program: .*No such file"):
            processes.run(["/nowhere/program"])


class Truth(unittest.TestCase):
    root = ("_bootstrap", "_bootstrap_inner", "run", "<lambda>", "spin")

    def verdict(self, *names):
        return part_truth.chain_fault(names)

    def test_a_beginning_of_a_chain_is_possible(self):
        self.assertEqual(self.verdict(*self.root), "possible")
        self.assertEqual(self.verdict(*self.root, "b1", "b2"), "possible")

    def test_a_mixed_chain_is_impossible(self):
        self.assertEqual(self.verdict(*self.root, "a1", "b2"), "impossible")

    def test_a_chain_with_a_hole_is_impossible(self):
        self.assertEqual(self.verdict(*self.root, "a1", "a3"), "impossible")

    def test_a_chain_without_its_root_is_impossible(self):
        self.assertEqual(self.verdict("a1", "a2"), "impossible")
        self.assertEqual(self.verdict("a3", "a4"), "impossible")

    def test_an_empty_stack_is_impossible(self):
        self.assertEqual(self.verdict(), "impossible")

    def test_the_main_thread_listens(self):
        self.assertEqual(self.verdict("<module>", "main", "listen"), "listening")

    def test_a_torn_stack_is_judged_by_what_is_left(self):
        self.assertEqual(self.verdict(*self.root, "a1", "<torn>"), "torn")
        self.assertEqual(self.verdict("_bootstrap", "<torn>"), "torn")
        self.assertEqual(self.verdict(*self.root, "a1", "b2", "<torn>"), "impossible")

    def test_a_mark_is_no_claim(self):
        self.assertEqual(self.verdict("<unreadable>", "a3"), "marked")

    def test_depths_are_of_the_recursing_thread(self):
        stacks = [(("run", "spin", "fib", "fib"), 3), (("run", "spin", "fib", "<torn>"), 1), (("<module>", "listen"), 4)]
        self.assertEqual(part_truth.depths(stacks)[:2], ({2: 3}, {1: 1}))

    def recursion_verdict(self, *names):
        return part_truth.recursion_fault(names)

    def test_a_torn_stack_of_the_recursion_may_have_lost_its_root(self):
        self.assertEqual(self.recursion_verdict("<torn>"), "torn")
        self.assertEqual(self.recursion_verdict("_bootstrap", "<torn>"), "torn")

    def test_a_recursion_without_its_root_is_impossible(self):
        self.assertEqual(self.recursion_verdict("fib", "fib"), "impossible")
        self.assertEqual(self.recursion_verdict("fib", "<torn>"), "impossible")
        self.assertEqual(self.recursion_verdict("_bootstrap", "run"), "impossible")
        self.assertEqual(self.recursion_verdict("<module>", "fib"), "impossible")
        self.assertEqual(self.recursion_verdict(), "impossible")

    def test_a_frame_that_the_recursion_does_not_call_is_impossible(self):
        self.assertEqual(self.recursion_verdict("run", "spin", "fib", "run", "fib"), "impossible")

    def test_an_unreadable_stack_of_the_recursion_is_marked(self):
        self.assertEqual(self.recursion_verdict("<unreadable>"), "marked")
        self.assertEqual(self.recursion_verdict("<unreadable>", "fib"), "marked")

    def test_the_main_thread_beside_the_recursion_listens(self):
        self.assertEqual(self.recursion_verdict("<module>", "listen"), "listening")
        self.assertEqual(self.recursion_verdict("<module>", "<torn>"), "listening")

    def test_shares_of_the_recursion_are_of_all_its_stacks(self):
        root = ("_bootstrap", "run", "spin")
        row = part_truth.depth_row([((*root, "fib"), 5), ((*root, "<torn>"), 2), (("<torn>",), 1), (("fib",), 1),
                                    (("<unreadable>",), 1), (("<module>", "listen"), 90)])
        self.assertEqual((row["stacks"], row["torn_share"], row["impossible_share"], row["marked_share"]),
                         (10, 0.3, 0.1, 0.1))
        self.assertEqual((row["depths"], row["torn_depths"]), ({1: 5}, {0: 3}))

    def test_what_is_not_seen_while_another_is_was_dropped(self):
        self.assertEqual(part_truth.dropped(75, 100), 0.25)


class Calls(unittest.TestCase):
    line = ('%s process_vm_readv(42, [{iov_base="..."..., iov_len=512}, {iov_base="", iov_len=8}], 2, '
            '[{iov_base=0x7f00, iov_len=512}, {iov_base=0x10, iov_len=8}], 2, 0) = 520\n')

    def test_remote_pieces_are_read_from_strace(self):
        self.assertEqual(part_peak.parse_calls(self.line % "1.5"), [(1.5, [(0x7f00, 512), (0x10, 8)])])

    def test_calls_that_follow_each_other_are_one_tick(self):
        calls = [(1.0, [1]), (1.0005, [2]), (1.01, [3])]
        self.assertEqual(part_peak.in_ticks(calls), [[[1], [2]], [[3]]])

    def test_a_tick_at_full_speed_begins_as_most_do(self):
        head, other = (1, 8), (2, 8)
        calls = [(0, [other]), (1, [head, other]), (2, [head]), (3, [other]), (4, [head])]
        self.assertEqual(part_peak.by_head(calls), [[[head, other]], [[head], [other]], [[head]]])

    def test_the_usual_tick_is_the_median_in_bytes(self):
        ticks = [[[(1, 100)]], [[(2, 10)], [(3, 10)]], [[(4, 5)]]]
        self.assertEqual(part_peak.steady_pieces(ticks), [(2, 10), (3, 10)])


class Windows(unittest.TestCase):
    def test_a_window_is_compared_with_its_neighbours(self):
        quiet = {"gaps": [6000] * 10, "elapsed": 10**9, "lost": 6e-5}
        during = {"gaps": [6000] * 10 + [30000] * 100, "elapsed": 10**9, "lost": 3.06e-3}
        row = part_pause.compared(quiet, during, quiet, 100)
        self.assertAlmostEqual(row["lost_share"], 0.003)
        self.assertAlmostEqual(row["pause_mean_us"], 30)
        self.assertEqual(row["pause_median_us"], 30)

    def test_delivery_is_its_own_count_where_it_has_one(self):
        class Asked:
            asked, ticks, stacks, seconds = 1000, 990, 4950, 1.0

        class Counted:
            asked, ticks, stacks, seconds = None, None, 2500, 1.0
        self.assertEqual(part_start.delivered(Asked, 1000)["delivered"], 0.99)
        self.assertEqual(part_start.delivered(Counted, 1000)["delivered"], 0.5)


def speed(tool, turn, value):
    return {"of": "peak", "part": "peak", "version": "3.12", "kind": "recursion", "depth": 10, "threads": 1,
            "activity": "busy", "tool": tool, "round": turn, "stacks_per_second": value}


class Bars(unittest.TestCase):
    rows = [speed("sampler none", 0, 900.0), speed("austin", 0, 100.0), speed("sampler none", 1, 1000.0),
            speed("austin", 1, 100.0), {**speed("py-spy", 0, 0), "error": "no"}]

    def find(self, measure, case):
        return next(bar for bar in bars.all_bars(self.rows) if bar.measure == measure and bar.case == case)

    def test_a_bar_is_the_median_of_ratios_round_by_round(self):
        bar = self.find("stacks/s: sampler none / austin", "3.12, depth 10, threads 1")
        self.assertEqual((bar.value, bar.bar, bar.met), ("9.50x (9.00x..10.00x)", ">= 8.00x", True))

    def test_what_was_not_measured_is_neither_met_nor_missed(self):
        bar = self.find("recursion, <torn> leaves, of all its stacks: sampler none", "1 case")
        self.assertEqual((bar.value, bar.met), (bars.MISSING, None))

    def test_too_few_samples_prove_no_zero(self):
        row = {"part": "chains", "version": "3.12", "tool": "sampler ptrace", "round": 0, "stacks": 10, "impossible": 0}
        met = [bar.met for bar in bars.impossible(bars.Rows([row])) if "ptrace" in bar.measure]
        self.assertEqual(met, [None])

    def test_a_way_to_hold_that_was_left_out_is_the_default(self):
        row = {"part": "chains", "version": "3.12", "round": 0, "stacks": 100000, "impossible": 0}
        found = bars.impossible(bars.Rows([{**row, "tool": tool} for tool in ("sampler", "sampler preempt")]))
        self.assertEqual([(bar.measure.rpartition(": ")[2], bar.met) for bar in found],
                         [("sampler", True), ("sampler preempt", True)])

    def test_the_default_way_to_hold_is_read_from_the_help(self):
        text = "      --hold HOW            keep a running thread still by: ptrace, preempt or none (default ptrace)\n"
        self.assertEqual(profilers.default_hold(text), "ptrace")
        self.assertIsNone(profilers.default_hold("--hold HOW\n"))

    def test_late_stops_are_told_beside_the_delivery(self):
        row = {"part": "delivery", "version": "3.12", "hz": 1000, "tool": "sampler", "round": 0, "delivered": 0.995,
               "asked": 1000, "late_stops": 20}
        found = next(bars.delivery(bars.Rows([row])))
        self.assertEqual((found.case, found.value, found.met),
                         ("3.12, stops that came late: 2.00 % of those asked", "99.50 %", True))

    def test_the_noise_is_that_of_most_quiet_windows(self):
        cell = {"version": "3.12", "threads": 1, "hz": 100}
        found = [{"part": "pause", "tool": "austin", **cell, "quiet_difference": share} for share in (1e-4, -2e-4, 3e-4, 0.5)]
        self.assertAlmostEqual(bars.quiet_noise(bars.Rows(found[:3]), cell), 0.04)
        self.assertAlmostEqual(bars.quiet_noise(bars.Rows(found), cell), 0.05)
        self.assertIsNone(bars.quiet_noise(bars.Rows([]), cell))

    def test_the_page_names_failures(self):
        facts = {"cpu": "x", "cores": 2, "virtual": False, "memory_gib": 4, "kernel": "6", "system": "y", "root": True}
        text = report.page({"rows": self.rows, "machine": facts, "versions": {"CPython 3.12": "3.12.1"}, "parts": {},
                            "missing": ["gunicorn"], "profilers": {}})
        self.assertIn("- missing: gunicorn", text)
        self.assertIn("- peak, py-spy on 3.12, 1 time: no", text)
        self.assertIn("| 950 (900..1000) |", text)


if __name__ == "__main__":
    unittest.main()
