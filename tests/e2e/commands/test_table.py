"""What haft says about all its commands: help, manual page, completions, docs/haft.1.md."""

import pathlib
import re

import support

MANUAL = pathlib.Path(__file__).parents[3] / "docs" / "haft.1.md"


def commands():
    """Names of all sub-commands, as the overview has them."""
    listed = support.haft("--help").stdout.partition("commands:\n")[2].partition("\n\n")[0]
    return [line.split()[0] for line in listed.splitlines()]


def paragraph(manual, command):
    """What stands under a command, which others may share, up to the next one."""
    section = manual.partition("## COMMANDS")[2].partition("\n## ")[0]
    parts = re.split(r"(?m)^(?=\*\*[a-z]+\*\*)", section)
    named = [part for part in parts if f"**{command}**" in part]
    first = [
        part for part in named if f"**{command}**" in re.match(r"(?:\*\*\w+\*\*,? )*", part)[0]
    ]
    (found,) = first or named
    return found


class TestTable(support.TestCase):
    def test_every_command_shows_an_example(self):
        for command in commands():
            with self.subTest(command=command):
                said = support.haft(command, "--help").stdout
                self.assertRegex(said, rf"(?ms)^Example:\n.*haft {command} ")
                self.assertEqual(said, support.haft("help", command).stdout)

    def test_manual_has_every_command_and_option_and_no_other(self):
        manual = MANUAL.read_text()
        synopsis = manual.partition("## SYNOPSIS")[2].partition("## COMMANDS")[0]
        for command in commands():
            with self.subTest(command=command):
                said = support.haft(command, "--help").stdout.partition("\n\n")[2]
                options = re.findall(r"(?m)^ +(?:(-\w), )? *(--[\w-]+)", said)
                own = paragraph(manual, command)
                for names in options:
                    if "--help" in names:  # of every command
                        continue
                    found = [n for n in names if n and re.search(rf"(?<![\w-]){n}\b(?!-)", own)]
                    self.assertTrue(found, f"{names} is not where {MANUAL} has haft {command}")
                known = {name for names in options for name in names}
                for form in re.findall(rf"(?m)^haft {command} (.*)", synopsis):
                    for option in re.findall(r"(?<![\w-])--?[a-z][\w-]*", form):
                        self.assertIn(option, known)

    def test_manual_page_is_one(self):
        page = support.haft("help", "--man").stdout
        for command in commands():
            self.assertIn(f'.SS "haft {command}"', page)
        self.assertIn(r"\fB\-o\fR, \fB\-\-output\-file\fR \fIFILE\fR", page)
        self.assertNotRegex(page, r"(?m)^\.(?!\\\"|TH |SH |SS |TP$|PP$|B |br$|nf$|fi$|$)")

    def complete(self, *words):
        """What bash offers for the last of the words."""
        script = (
            'eval "$("$1" completion bash)"\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))\n'
            '_haft\nprintf "%s\\n" "${COMPREPLY[@]}"'
        )
        done = support.run(["bash", "-c", script, "bash", support.HAFT, *words])
        self.assertEqual(done.stderr, "")
        return done.stdout.split()

    def test_bash_completes_commands_options_and_choices(self):
        self.assertEqual(self.complete("ex"), ["exec", "extract"])
        self.assertEqual(self.complete("build", "--bundle-"), ["--bundle-python", "--bundle-httpd"])
        self.assertEqual(self.complete("cache", ""), ["list", "prune"])
        self.assertEqual(self.complete("cache", "list", "/usr/shar"), ["/usr/share"])
        self.assertIn("/etc/passwd", self.complete("ls", "/etc/passw"))
        self.assertEqual(self.complete("build", "-o", "--comp"), [], "the value of -o")
        self.assertEqual(self.complete("run", "x.pyz", "--pyth"), [], "the program's own")

    def test_bash_completes_paths_inside_a_bundle(self):
        bundle = str(support.lab())
        self.assertEqual(
            self.complete("cat", bundle, "site-packages/lab_d"), ["site-packages/lab_data/"]
        )
        self.assertEqual(
            self.complete("ls", "-l", bundle, "site-packages/lab_data/t"),
            ["site-packages/lab_data/text.txt"],
        )
        self.assertEqual(self.complete("cat", "/etc/passwd", "x"), [])
