# SPDX-License-Identifier: Apache-2.0
import subprocess
import tempfile
import unittest
from pathlib import Path

from fetch_parts.apt_sources import main_stanza, own_codename
from fetch_parts.report import SetupError

DEB822 = """\
# The machine's archive.
Types: deb deb-src
URIs: http://archive.test/debian http://second.test/debian
Suites: bookworm bookworm-updates
Components: main contrib
# a comment between fields
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mQINBFit2ioBEADhWpZ8
 -----END PGP PUBLIC KEY BLOCK-----
"""
SECURITY = """\
Types: deb
URIs: http://security.test/debian-security
Suites: bookworm-security
Components: main
"""
SOURCES_ONLY = """\
Types: deb-src
URIs: http://sources.test/debian
Suites: bookworm
Components: main
"""
DISABLED = """\
Enabled: no
Types: deb
URIs: http://disabled.test/debian
Suites: bookworm
Components: main
"""


class MainStanza(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.etc_apt = Path(folder.name)
        (self.etc_apt / "sources.list.d").mkdir()

    def write(self, name: str, text: str):
        (self.etc_apt / name).write_text(text)

    def derive(self, suite="sid") -> tuple[str, str]:
        return main_stanza(self.etc_apt, "bookworm").for_suite(suite)

    def assert_apt_reads(self, suffix: str, text: str, uri: str, suite: str):
        """apt itself must see one archive of one suite in what was derived."""
        sources = self.etc_apt / "derived"
        sources.mkdir()
        (sources / f"derived.{suffix}").write_text(text)
        shown = subprocess.run(
            ["apt-get", "update", "--print-uris", "-o", "Dir::Etc::sourcelist=/dev/null",
             "-o", f"Dir::Etc::sourceparts={sources}", "-o", f"Dir::State::lists={sources}"],
            check=True, capture_output=True, text=True)
        self.assertEqual(shown.stderr, "")
        indexes = {line.split("'")[1].removeprefix(f"{uri}/dists/{suite}/") for line in shown.stdout.splitlines()}
        self.assertIn("InRelease", indexes)
        self.assertEqual({index for index in indexes - {"InRelease"} if not index.startswith("main/")}, set())

    def test_deb822_keeps_everything_but_the_suite(self):
        self.write("sources.list.d/debian.sources", DEB822.replace(" http://second.test/debian", ""))
        suffix, text = self.derive("trixie")
        self.assertEqual(suffix, "sources")
        self.assertIn("-----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQINBFit2ioBEADhWpZ8\n", text)
        self.assert_apt_reads(suffix, text, "http://archive.test/debian", "trixie")

    def test_deb822_keeps_several_addresses(self):
        self.write("sources.list.d/debian.sources", DEB822)
        self.assertIn("http://archive.test/debian http://second.test/debian\n", self.derive()[1])

    def test_other_stanzas_are_passed_over(self):
        self.write("sources.list.d/all.sources", "\n".join((SECURITY, SOURCES_ONLY, DISABLED, DEB822)))
        self.assertIn("archive.test", self.derive()[1])

    def test_stanzas_may_be_parted_by_blank_lines_with_spaces(self):
        self.write("sources.list.d/all.sources", SECURITY + "  \n\n" + DEB822)
        text = self.derive()[1]
        self.assertIn("archive.test", text)
        self.assertNotIn("security.test", text)

    def test_one_line(self):
        self.write("sources.list", "# deb http://commented.test/debian bookworm main\n"
                                   "deb http://security.test/debian-security bookworm-security main\n"
                                   "deb-src http://sources.test/debian bookworm main\n"
                                   "deb http://archive.test/debian bookworm main non-free # a remark\n")
        suffix, text = self.derive("bookworm-backports")
        self.assertEqual((suffix, text), ("list", "deb http://archive.test/debian bookworm-backports main\n"))
        self.assert_apt_reads(suffix, text, "http://archive.test/debian", "bookworm-backports")

    def test_one_line_keeps_its_options(self):
        self.write("sources.list", "deb [ arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg ] "
                                   "http://archive.test/debian bookworm main\n")
        suffix, text = self.derive()
        self.assertIn("signed-by=/usr/share/keyrings/debian-archive-keyring.gpg", text)
        self.assert_apt_reads(suffix, text, "http://archive.test/debian", "sid")

    def test_one_line_in_a_file_of_its_own(self):
        self.write("sources.list.d/mirror.list", "deb http://archive.test/debian stable main\n")
        self.assertIn("archive.test", self.derive()[1])

    def test_files_that_apt_ignores_are_ignored(self):
        self.write("sources.list.d/debian.sources.disabled", DEB822)
        self.write("sources.list.d/readme", "deb http://archive.test/debian bookworm main\n")
        with self.assertRaisesRegex(SetupError, "serves main of bookworm.*sources.list"):
            self.derive()

    def test_no_main_component(self):
        self.write("sources.list", "deb http://archive.test/debian bookworm contrib\n")
        with self.assertRaises(SetupError):
            self.derive()


class OwnCodename(unittest.TestCase):
    def test_reads_this_machine(self):
        self.assertRegex(own_codename(), r"^[a-z]+$")

    def test_quoted_and_absent(self):
        with tempfile.NamedTemporaryFile("w") as file:
            file.write('ID=debian\nVERSION_CODENAME="trixie"\n')
            file.flush()
            self.assertEqual(own_codename(Path(file.name)), "trixie")
        with tempfile.NamedTemporaryFile("w") as file:
            with self.assertRaisesRegex(SetupError, "VERSION_CODENAME"):
                own_codename(Path(file.name))


if __name__ == "__main__":
    unittest.main()
