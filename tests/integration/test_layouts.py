"""The committed layouts are exactly what the generator makes of the headers of every Python at hand, and the table of
offsets that a Python publishes says what its headers say."""
import os
import re
import struct
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support"))
import not_run  # noqa: E402
import pythons  # noqa: E402

GENERATOR = os.path.join(pythons.ROOT, "tools", "gen_layout.py")


def left_out(python):
    """Why this Python cannot be compared; None if it can."""
    if not os.path.exists(pythons.layout_file(python.version)):
        return "no layout file for CPython %s" % python.version
    if not os.path.exists(os.path.join(python.include, "patchlevel.h")):
        return "no headers in %s" % python.include
    return None


def generate(python, *options):
    """The text that the generator makes anew, of the layout or as the options say."""
    with tempfile.TemporaryDirectory() as folder:
        output = os.path.join(folder, "made")
        subprocess.run([sys.executable, GENERATOR, "--include", python.include, "--output", output, *options], check=True)
        with open(output) as file:
            return file.read()


def rows(text):
    """{key: value} of a layout file."""
    return dict(re.findall(r"(?m)^([a-z_.]+) +(\S+)$", text))


def schema_file(version):
    return os.path.join(pythons.ROOT, "cpython_offsets", "debug_offsets-%s.schema" % version.rstrip("t"))


def words_of(schema):
    return [line for line in schema.splitlines() if line and not line.startswith("#")]


def interpreter_file(python):
    """The file that the interpreter itself is in: its library, or its executable."""
    code = "import os; print([l.split()[-1] for l in open('/proc/self/maps') if 'libpython' in l][:1] or" \
           " [os.readlink('/proc/self/exe')])"
    answer = subprocess.run([python.executable, "-c", code], stdout=subprocess.PIPE, check=True, timeout=60)
    return answer.stdout.decode().strip("[]'\n")


def published_table(path, words):
    """The first words of the section .PyRuntime of an ELF file, read here and not by the program under test."""
    with open(path, "rb") as file:
        data = file.read()
    offset, = struct.unpack_from("<Q", data, 40)
    size, count, names = struct.unpack_from("<HHH", data, 58)
    headers = [struct.unpack_from("<IIQQQQ", data, offset + index * size) for index in range(count)]
    texts = headers[names][4]
    for name, _, _, _, place, _ in headers:
        if data[texts + name:data.index(b"\0", texts + name)] == b".PyRuntime":
            return dict(zip(words, struct.unpack_from("<%dQ" % len(words), data, place)))
    raise AssertionError("no section .PyRuntime in %s" % path)


def committed(version):
    with open(pythons.layout_file(version)) as file:
        return file.read()


class Layouts(unittest.TestCase):
    maxDiff = None

    def test_every_layout_equals_what_the_headers_give(self):
        compared = set()
        for python in pythons.found_pythons():
            reason = left_out(python)
            if reason:
                print("left out: %s: %s" % (python.executable, reason))
                continue
            with self.subTest(python=python.executable):
                self.assertEqual(committed(python.version), generate(python))
                print("compared: CPython %s with the headers in %s" % (python.version, python.include))
            compared.update(python.names)
        self.assertTrue(compared, "nothing was compared: no Python with headers was found")
        self.assertEqual([], pythons.missing_versions(compared), "required versions that were not compared")

    def assert_some_publish(self, compared):
        """Their tables of offsets are compared; those from 3.13 on have one."""
        if not compared:
            publishing = [version for version in pythons.layout_versions() if "schema" in rows(committed(version))]
            not_run.no_python(self, publishing, "no Python that publishes its offsets (3.13 and later) was found with its headers",
                              "tools/pythons fetch 3.14")

    def test_every_schema_equals_what_the_headers_give(self):
        compared = []
        for python in pythons.found_pythons():
            if left_out(python) or "schema" not in rows(committed(python.version)):
                continue
            with self.subTest(python=python.executable), open(schema_file(python.version)) as file:
                self.assertEqual(file.read(), generate(python, "--schema"))
            compared.append(python.version)
        self.assert_some_publish(compared)

    def test_every_published_table_says_what_the_headers_say(self):
        compared = []
        for python in pythons.found_pythons():
            if left_out(python) or "schema" not in rows(committed(python.version)):
                continue
            with self.subTest(python=python.executable):
                with open(schema_file(python.version)) as file:
                    table = published_table(interpreter_file(python), words_of(file.read()))
                self.assertEqual(struct.pack("<Q", table["cookie"]), b"xdebugpy")
                self.assertEqual(table["free_threaded"], int(python.free_threaded))
                layout, headers = rows(committed(python.version)), rows(generate(python, "--only-headers"))
                told = {key: table[word[1:]] for key, word in layout.items() if word.startswith("@")}
                self.assertGreater(len(told), 20)
                wrong = {key: (value, headers[key]) for key, value in told.items() if str(value) != headers[key]}
                self.assertEqual({}, wrong, "what the table says, and the headers")
                print("compared: %d words of the table of %s" % (len(told), python.executable))
            compared.append(python.name)
        self.assert_some_publish(compared)

    def test_check_mode_refuses_a_layout_that_differs(self):
        usable = [python for python in pythons.found_pythons() if not left_out(python)]
        self.assertTrue(usable, "no Python with headers was found")
        with tempfile.NamedTemporaryFile("w", suffix=".layout") as changed:
            changed.write(committed(usable[0].version).replace("frame.size", "frame.length"))
            changed.flush()
            run = subprocess.run([sys.executable, GENERATOR, "--include", usable[0].include, "--check", "--output",
                                  changed.name], stdout=subprocess.PIPE, universal_newlines=True)
        self.assertEqual(1, run.returncode)
        self.assertIn("-frame.length", run.stdout)


if __name__ == "__main__":
    unittest.main()
