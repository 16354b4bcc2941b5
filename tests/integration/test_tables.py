"""A table of offsets that is hostile or half-written is refused with one line, and nothing is read by it."""
import os
import struct
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import programs  # noqa: E402
import pythons  # noqa: E402

VERSION = 0x030E00F0
COOKIE, = struct.unpack("<Q", b"xdebugpy")


def schema():
    with open(os.path.join(pythons.ROOT, "cpython_offsets", "debug_offsets-3.14.schema")) as file:
        return [line for line in file.read().splitlines() if line and not line.startswith("#")]


def sound_table():
    """{word: value}: structs of 512 bytes with their fields side by side; those of the runtime are behind its table."""
    table, taken = {}, {"runtime_state": 2048}
    for word in schema():
        group = word.split(".")[0]
        table[word] = 512 if word.endswith(".size") else taken.get(group, 0)
        taken[group] = taken.get(group, 0) + (0 if word.endswith(".size") else 8)
    table["runtime_state.size"] = 4096
    table.update(cookie=COOKIE, version=VERSION, free_threaded=0)
    return table


class Tables(unittest.TestCase):
    def setUp(self):
        self.directory = harness.scratch(self)
        self.program = programs.compile_program(self, os.path.join(self.directory, "server"), "-rdynamic", source="table.c")

    def refused(self, status, *words, **changes):
        """The one line that a process with this table is refused with has these words."""
        table = sound_table()
        unknown = set(changes) - set(table)
        self.assertEqual(set(), unknown, "words that the table does not have")
        table.update(changes)
        path = os.path.join(self.directory, "table")
        with open(path, "wb") as file:
            file.write(struct.pack("<%dQ" % len(table), *table.values()))
        process = programs.start_ready(self, self.program, path)
        run = harness.run_sampler(self, "-p", process.pid, "-s", "0", expect=status, timeout=10)
        self.assertEqual(run.output, b"")
        self.assertRegex(run.errors, r"\Asampler: [^\n]+; [^\n]+\n\Z", "one line of what; the cure")
        for word in words:
            self.assertIn(word, run.errors)
        harness.assert_not_held(self, process.pid)

    def damaged(self, why, **changes):
        self.refused(harness.UNSUPPORTED, "the table of offsets of Python 3.14", "is damaged: " + why, **changes)

    def test_a_sound_one_of_a_python_that_has_no_interpreter(self):
        self.refused(harness.NOT_PYTHON, "has Python 3.14, which has not been initialised")

    def test_a_wrong_cookie(self):
        self.damaged("its first words are not that version's", cookie=COOKIE + 1)

    def test_one_that_is_not_written_yet(self):
        self.damaged("its first words are not that version's", **dict.fromkeys(sound_table(), 0))

    def test_one_that_is_half_written(self):
        half = list(sound_table())[len(sound_table()) // 2:]
        self.damaged("its word '", **dict.fromkeys(half, 0))

    def test_a_build_that_is_neither_free_threaded_nor_not(self):
        self.damaged("its first words are not that version's", free_threaded=2)

    def test_a_version_that_no_word_can_be(self):
        self.damaged("its first words are not that version's", version=VERSION | 1 << 32)

    def test_an_absurd_size(self):
        for size in (0, 513, 1 << 31, 1 << 32, (1 << 64) - 1):
            with self.subTest(size=size):
                self.damaged("its word 'code_object.size' is %d, not from 1 to 512" % size, **{"code_object.size": size})

    def test_a_field_outside_its_struct(self):
        self.damaged("its word 'thread_state.next' is 512, outside a struct of 512 bytes", **{"thread_state.next": 512})

    def test_a_field_that_is_not_aligned(self):
        self.damaged("its word 'thread_state.next' is 499, not a multiple of 8", **{"thread_state.next": 499})

    def test_fields_in_one_place(self):
        table = sound_table()
        self.damaged("its words 'thread_state.next' and 'thread_state.interp' overlap",
                     **{"thread_state.next": table["thread_state.interp"]})

    def test_a_python_newer_than_known(self):
        self.refused(harness.UNSUPPORTED, "CPython 3.16 is not supported", "--layout-dir", version=0x031000F0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
