#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The library as programs get it: what it needs and exports, its headers, and programs built against the installed tree."""

import os
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

BUILD = Path(os.environ["VACCEL_TEST_BUILD"])
SOURCE = Path(os.environ["VACCEL_TEST_SOURCE"])
LIBDIR = os.environ["VACCEL_TEST_LIBDIR"]
CMAKE = os.environ["VACCEL_TEST_CMAKE"]
CC = os.environ["CC"]
CXX = os.environ["CXX"]
HERE = Path(__file__).resolve().parent

MOST_STRIPPED_BYTES = 300 * 1000


def run(*command, **options):
    """Runs a command that must succeed, and returns what it printed."""
    done = subprocess.run([str(part) for part in command], text=True, capture_output=True, **options)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))} exited with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp(prefix="vaccel-install-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        # Installed at one place and moved to another: nothing may remember the first.
        run(CMAKE, "--install", BUILD, "--prefix", cls.folder / "first")
        cls.prefix = cls.folder / "prefix"
        (cls.folder / "first").rename(cls.prefix)
        cls.lib = cls.prefix / LIBDIR
        cls.library = cls.lib / "libvaccel.so.0.1.0"
        (cls.folder / "catalogue").mkdir()
        cls.config = cls.folder / "vaccel.toml"
        cls.config.write_text(
            'catalogue = "catalogue"\n[backends]\n'
            f'directory = "{cls.lib}/vaccel/backends"\nload = ["reference"]\n')

    def run_program(self, program, endpoint, library_folder=None):
        """@return the exit status, and what the program printed."""
        environment = dict(os.environ, LD_LIBRARY_PATH=str(library_folder or self.lib))
        done = subprocess.run([str(program), endpoint], text=True, capture_output=True, env=environment, timeout=60)
        self.assertEqual(done.stderr, "", "the library prints nothing")
        return done.returncode, done.stdout

    def test_it_finds_the_runtime_beside_itself(self):
        program = self.folder / "c_beside"
        run(CC, HERE / "program.c", f"-I{self.prefix}/include", "-o", program, self.lib / "libvaccel.so",
            f"-Wl,-rpath,{self.lib}")
        environment = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
        self.assertEqual(run(program, f"local:{self.config}", env=environment), "x 3\n")

    def check_program(self, program):
        self.assertEqual(self.run_program(program, f"local:{self.config}"), (0, "x 3\n"))
        status, printed = self.run_program(program, "unix:/nonexistent/agent.sock")
        self.assertEqual(status, 1)
        self.assertEqual(printed, "UNAVAILABLE: cannot connect to unix:/nonexistent/agent.sock: No such file or directory;"
                                  " is the agent (vacceld) running and listening there?\n")
        status, printed = self.run_program(program, "nonsense")
        self.assertEqual(status, 1)
        self.assertTrue(printed.startswith("INVALID_ARGUMENT: endpoint 'nonsense'"), printed)

    def test_a_c_program_with_pkg_config(self):
        environment = dict(os.environ, PKG_CONFIG_PATH=str(self.lib / "pkgconfig"))
        self.assertEqual(run("pkg-config", "--modversion", "vaccel", env=environment).strip(), "0.1.0")
        flags = run("pkg-config", "--cflags", "--libs", "vaccel", env=environment).split()
        program = self.folder / "c_program"
        run(CC, "-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", HERE / "program.c", "-o", program, *flags)
        self.check_program(program)

    def test_a_cpp_program_with_find_package(self):
        build = self.folder / "cpp"
        run(CMAKE, "-G", "Ninja", "-S", HERE / "cmake_project", "-B", build, f"-DCMAKE_PREFIX_PATH={self.prefix}",
            "-DCMAKE_BUILD_TYPE=Release")
        run(CMAKE, "--build", build)
        self.check_program(build / "program")

    def test_without_the_runtime_it_says_what_to_install(self):
        alone = self.folder / "alone"
        alone.mkdir()
        shutil.copy(self.library, alone / "libvaccel.so.0")
        program = self.folder / "c_alone"
        run(CC, HERE / "program.c", f"-I{self.prefix}/include", "-o", program, self.library)
        status, printed = self.run_program(program, "local:", alone)
        self.assertEqual(status, 1)
        self.assertRegex(printed, r"UNAVAILABLE: a local session needs libvaccel-runtime\.so\.0, which cannot be loaded: "
                                  r".*; install it beside libvaccel\.so, or start an agent \(vacceld\)")

    def test_links_and_soname(self):
        self.assertEqual(os.readlink(self.lib / "libvaccel.so"), "libvaccel.so.0")
        self.assertEqual(os.readlink(self.lib / "libvaccel.so.0"), "libvaccel.so.0.1.0")
        dynamic = run("readelf", "-dW", self.library)
        self.assertEqual(re.findall(r"\(SONAME\).*\[(.*)\]", dynamic), ["libvaccel.so.0"])
        self.assertNotIn("RUNPATH", dynamic)

    def test_it_needs_libc_alone(self):
        needed = re.findall(r"\(NEEDED\).*\[(.*)\]", run("readelf", "-dW", self.library))
        self.assertIn("libc.so.6", needed)
        loader = [name for name in needed if name.startswith("ld-linux")]
        self.assertEqual(sorted(needed), sorted(["libc.so.6", *loader]))

    def test_it_exports_what_its_header_declares(self):
        header = (self.prefix / "include/vaccel/vaccel.h").read_text()
        header = re.sub(r"/\*.*?\*/", "", header, flags=re.S)
        declared = re.findall(r"VACCEL_API[^;]*?\b(vaccel_\w+)\s*\(", header)
        self.assertGreater(len(declared), 30)
        symbols = run("nm", "-D", "--defined-only", self.library).split("\n")
        exported = [line.split()[-1] for line in symbols if line]
        versioned = sorted(name for name in exported if not name.startswith("VACCEL_"))
        self.assertEqual(versioned, sorted(f"{name}@@VACCEL_0.1" for name in declared))

    def test_it_is_small(self):
        if os.environ["VACCEL_TEST_BUILD_TYPE"] not in ("Release", "RelWithDebInfo", "MinSizeRel"):
            self.skipTest(f"a {os.environ['VACCEL_TEST_BUILD_TYPE']} build is not optimised")
        stripped = self.folder / "stripped.so"
        run("strip", "-o", stripped, self.library)
        self.assertLessEqual(stripped.stat().st_size, MOST_STRIPPED_BYTES)

    def test_what_watches_an_agent_comes_with_it(self):
        """The same files as in the tree, with the agent alone; tests/docs/test_monitoring.py says that they are right."""
        run(CMAKE, "--install", BUILD, "--prefix", self.folder / "agent", "--component", "agent")
        for prefix in (self.prefix, self.folder / "agent"):
            for name in ("prometheus/prometheus.yml", "prometheus/vaccel.rules.yml", "prometheus/vaccel.rules.test.yml",
                         "grafana/vaccel.json"):
                self.assertEqual((prefix / "share/vaccel" / name).read_bytes(), (SOURCE / "deploy" / name).read_bytes(), name)
        self.assertTrue((self.folder / "agent/sbin/vacceld").exists())
        self.assertFalse((self.folder / "agent/include").exists())

    def test_headers_in_every_language(self):
        strict = ["-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror", "-fsyntax-only",
                  f"-I{self.prefix}/include"]
        for header in ("types.h", "vaccel.h", "backend.h"):
            text = f"#include <vaccel/{header}>\n"
            run(CC, "-x", "c", "-std=c99", *strict, "-", input=text)
            run(CXX, "-x", "c++", "-std=c++17", *strict, "-", input=text)
        uses = "#include <vaccel/vaccel.h>\nvaccel_call_options f(void) { return VACCEL_INIT(vaccel_call_options); }\n"
        run(CC, "-x", "c", "-std=c99", *strict, "-", input=uses)
        run(CXX, "-x", "c++", "-std=c++17", *strict, "-", input=uses)
        for standard in ("c++20", "c++23"):
            run(CXX, "-x", "c++", f"-std={standard}", *strict, "-", input="#include <vaccel/vaccel.hpp>\n")
        older = subprocess.run([CXX, "-x", "c++", "-std=c++17", *strict, "-"], input="#include <vaccel/vaccel.hpp>\n",
                               text=True, capture_output=True)
        self.assertIn("vaccel.hpp needs C++20", older.stderr)


if __name__ == "__main__":
    unittest.main()
