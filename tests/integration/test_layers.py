"""tools/check_layers.py finds nothing in this tree, and finds every kind of violation in made-up ones."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

CHECK = pathlib.Path(__file__).resolve().parents[2] / "tools" / "check_layers.py"


def check(*arguments):
    return subprocess.run(
        [sys.executable, str(CHECK), *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True
    )


def check_tree(files):
    """The check's verdict on a tree of these files: {path: text}."""
    with tempfile.TemporaryDirectory() as root:
        for path, text in files.items():
            file = pathlib.Path(root, path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        return check("--root", root)


class ThisTree(unittest.TestCase):
    def test_keeps_every_rule(self):
        verdict = check()
        self.assertEqual(verdict.returncode, 0, verdict.stdout)
        self.assertRegex(verdict.stdout, r"check_layers: \d\d+ files, 0 findings")


class MadeUpTrees(unittest.TestCase):
    def assert_clean(self, files):
        verdict = check_tree(files)
        self.assertEqual((verdict.returncode, verdict.stdout), (0, f"check_layers: {len(files)} files, 0 findings\n"))

    def assert_found(self, files, line):
        verdict = check_tree(files)
        self.assertEqual(verdict.returncode, 1, verdict.stdout)
        self.assertEqual(verdict.stdout.splitlines(), [line, f"check_layers: {len(files)} files, 1 findings"])

    def test_a_standard_stream_is_written_in_one_place(self):
        for line in ('fmt::print(stderr, "x");', 'std::cerr << 1;', 'std::fputs("x", stdout);', 'printf("x");'):
            with self.subTest(line=line):
                verdict = check_tree({"src/cli/record.cpp": line + "\n"})
                self.assertEqual(verdict.returncode, 1, verdict.stdout)
                self.assertIn("src/cli/record.cpp:1: writes a standard stream without say() or print()", verdict.stdout)
        self.assert_clean({"src/base/standard_streams.cpp": "::write(STDERR_FILENO, text, size);\n",
                           "src/cli/record.cpp": 'say("to stderr");  // not stderr itself\nif (::isatty(STDERR_FILENO)) return;\n'})

    def test_a_layer_may_include_itself_and_what_stands_to_its_left(self):
        self.assert_clean(
            {
                "include/sampler/base/error.h": "#include <string>\n",
                "src/elf/own.h": "#pragma once\n",
                "src/elf/elf_file.cpp": '#include "own.h"\n#include "elf/own.h"\n#include "sampler/base/error.h"\n',
            }
        )

    def test_a_layer_may_not_include_what_stands_to_its_right(self):
        self.assert_found(
            {"include/sampler/cpython/layout.h": "\n", "src/elf/elf_file.cpp": '\n#include "sampler/cpython/layout.h"\n'},
            "src/elf/elf_file.cpp:2: elf includes include/sampler/cpython/layout.h of the layer cpython",
        )

    def test_a_public_header_is_held_to_its_layer_too(self):
        self.assert_found(
            {"include/sampler/base/a.h": "# include <sampler/model/b.h>\n", "include/sampler/model/b.h": "\n"},
            "include/sampler/base/a.h:1: base includes include/sampler/model/b.h of the layer model",
        )

    def test_a_path_with_dots_does_not_hide_the_layer(self):
        self.assert_found(
            {"src/cli/options.h": "\n", "src/sampler/pacer.cpp": '#include "../cli/options.h"\n'},
            "src/sampler/pacer.cpp:1: sampler includes src/cli/options.h of the layer cli",
        )

    def test_export_sees_base_and_model_only(self):
        self.assert_clean(
            {
                "include/sampler/base/error.h": "\n",
                "include/sampler/model/sample.h": "\n",
                "src/export/folded.cpp": '#include "sampler/base/error.h"\n#include "sampler/model/sample.h"\n',
            }
        )
        self.assert_found(
            {"include/sampler/elf/elf_file.h": "\n", "src/export/folded.cpp": '#include "sampler/elf/elf_file.h"\n'},
            "src/export/folded.cpp:1: export includes include/sampler/elf/elf_file.h of the layer elf",
        )

    def test_the_program_may_include_every_layer(self):
        self.assert_clean({"include/sampler/cli/main.h": "\n", "src/main.cpp": '#include "sampler/cli/main.h"\n'})

    def test_a_file_in_no_layer_is_found(self):
        verdict = check_tree({"src/utils/strings.cpp": "\n"})
        self.assertEqual(verdict.returncode, 1, verdict.stdout)
        self.assertIn("src/utils/strings.cpp:1: is in no layer", verdict.stdout)

    def test_an_include_that_names_no_file_is_found(self):
        self.assert_found(
            {"src/base/log.cpp": '#include "gone.h"\n'}, "src/base/log.cpp:1: includes gone.h, which is no file of this tree"
        )

    def test_a_third_party_library_has_one_place(self):
        self.assert_clean(
            {
                "src/base/log.cpp": "#include <spdlog/spdlog.h>\n#include <fmt/format.h>\n",
                "src/cli/options.cpp": "#include <boost/program_options.hpp>\n",
                "src/native/unwinder.cpp": "#include <libunwind-ptrace.h>\n",
            }
        )
        for library, place, elsewhere in (
            ("spdlog/spdlog.h", "src/base/log.cpp", "src/base/error.cpp"),
            ("boost/program_options.hpp", "src/cli/options.cpp", "src/cli/main.cpp"),
            ("libunwind.h", "src/native/", "src/cpython/frame_walker.cpp"),
        ):
            with self.subTest(library):
                self.assert_found(
                    {elsewhere: f"#include <{library}>\n"},
                    f"{elsewhere}:1: includes {library}, which belongs in {place} only",
                )

    def test_version_logic_is_found(self):
        for line in (
            "if (version.minor >= 12) return 1;",
            "if (12 <= version.minor) return 1;",
            "if (target->version().major == 2) return 1;",
            "if (version >= PythonVersion{3, 11}) return 1;",
            "constexpr PythonVersion newest{3, 12};",
            "if (PythonVersion(major, minor) < other) return 1;",
            "if (hexversion >= 0x030b0000) return 1;",
            "if (version_ > 311) return 1;",
        ):
            with self.subTest(line):
                self.assert_found(
                    {"src/cpython/frame_walker.cpp": line + "\n"},
                    f"src/cpython/frame_walker.cpp:1: compares Python versions: {line}",
                )

    def test_the_files_that_pick_a_layout_may_compare_versions(self):
        line = "if (version >= PythonVersion{3, 11}) return 1;\n"
        self.assert_clean({"src/cpython/layout_catalog.cpp": line, "src/cpython/version_detector.cpp": line})

    def test_comments_texts_and_plain_equality_are_no_version_logic(self):
        self.assert_clean(
            {
                "src/cpython/layout.cpp": "// minor >= 12 moved it\n"
                '/* version >= PythonVersion{3, 12}\n   minor < 3 */ const char* text = "minor >= 12";\n'
                'const char* raw = R"(minor > 3)"; const int large = 1\'000; const char quote = \'"\';\n'
                "return layout.version == wanted.version && (major < 0 || minor < 0);\n"
                "return code.version != 0;\n"
            }
        )

    def test_an_include_in_a_comment_does_not_count(self):
        self.assert_clean({"src/cli/a.h": "\n", "src/base/error.cpp": '// #include "cli/a.h"\n/*\n#include "cli/a.h"\n*/\n'})

    def test_an_empty_tree_is_refused(self):
        self.assertEqual(check_tree({}).returncode, 2)


if __name__ == "__main__":
    unittest.main()
