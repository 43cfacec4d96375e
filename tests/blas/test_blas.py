# SPDX-License-Identifier: Apache-2.0
"""libvaccel-blas.so before programs that know nothing of it: Debian's NumPy, and Fortran's and CBLAS's names called as
compiled programs call them. What it sends to a real agent, what it computes here, and what it does without an agent."""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import unittest
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("VACCEL_TEST_BIN", TREE / "build/bin"))
LIB = Path(os.environ.get("VACCEL_TEST_LIB", TREE / "build/lib"))
LIBRARY = LIB / "libvaccel-blas.so"
REFERENCE_BLAS = Path(f"/usr/lib/{os.uname().machine}-linux-gnu/blas")
NO_AGENT = "unix:/nonexistent/vaccel-tests-name-their-endpoint"
PATIENCE_SECONDS = 600

for file in (BIN / "vacceld", BIN / "vaccel-worker", LIBRARY):
    if not file.is_file():
        raise unittest.SkipTest(f"{file} is not there; build it first")
try:
    import numpy
except ImportError:
    raise unittest.SkipTest("this Python has no NumPy") from None

# What is exact, and how far from it the analysis allows a sum of products to be in any order (gamma_k |a| |b|). Neither
# uses BLAS: NumPy multiplies long doubles itself.
CHECK = """
import numpy
def expect_close(c, a, b, alpha=1, beta=0, before=0):
    a, b, before = (numpy.asarray(x, dtype=numpy.longdouble) for x in (a, b, before))
    exact = alpha * (a @ b) + beta * before
    unit = numpy.longdouble(numpy.finfo(c.dtype).eps) / 2
    roundings = (a.shape[-1] + 4) * unit
    bound = roundings / (1 - roundings) * (abs(alpha) * (abs(a) @ abs(b)) + abs(beta * before))
    assert (abs(c - exact) <= bound + numpy.finfo(c.dtype).tiny).all(), float(abs(c - exact).max())
random = numpy.random.default_rng(1)
"""


class Agent:
    """A vacceld with OpenBLAS and the plain loops, until stop()."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.endpoint = f"unix:{folder / 'a.sock'}"
        (folder / "vaccel.toml").write_text(f'listen = ["{self.endpoint}"]\n')
        self.start()

    def start(self):
        ready = self.folder / "ready.sock"
        ready.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifications, open(self.folder / "log", "ab") as log:
            notifications.bind(str(ready))
            notifications.settimeout(60)
            self.process = subprocess.Popen(
                [BIN / "vacceld", "--config", self.folder / "vaccel.toml"], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=os.environ | {"NOTIFY_SOCKET": str(ready)})
            try:
                while b"READY=1" not in notifications.recv(4096).split(b"\n"):
                    pass
            except BaseException:
                self.stop()
                raise

    def stop(self):
        self.process.terminate()
        self.process.wait(60)


class BlasTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory(prefix="vaccel-blas-")))
        cls.agent = Agent(cls.folder)
        cls.addClassCleanup(cls.agent.stop)

    def run_python(self, arguments: list, **variables) -> subprocess.CompletedProcess:
        # As PATH has it, `python3` may be one without NumPy.
        environment = os.environ | {"LD_PRELOAD": str(LIBRARY), "VACCEL_ENDPOINT": self.agent.endpoint, "VACCEL_BLAS_VERBOSE": "1",
                                    "VACCEL_BLAS_MIN_FLOPS": "0"} | variables
        return subprocess.run([sys.executable, "-B", *map(str, arguments)], capture_output=True, text=True,
                              timeout=PATIENCE_SECONDS, cwd=self.folder, env=environment)

    def program(self, text: str, **variables) -> str:
        """Runs a program that must end well. @return what it and the library said on stderr."""
        done = self.run_python(["-c", CHECK + textwrap.dedent(text)], **variables)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stderr

    def counts(self, said: str) -> tuple[int, int, int]:
        """Products on the host, products here, other calls, as the closing line has them."""
        found = re.search(r"^libvaccel-blas: (\d+) products on the host \(([^)]*)\), (\d+) here; (\d+) other calls passed on$",
                          said, re.MULTILINE)
        self.assertIsNotNone(found, said)
        return int(found[1]), int(found[3]), int(found[4])


class NumPy(BlasTest):
    MULTIPLY = """
        for dtype in (numpy.float32, numpy.float64):
            for m, n, k in ((100, 90, 110), (257, 1, 300), (1, 5, 64), (64, 64, 64)):
                a = random.standard_normal((m, k)).astype(dtype)
                b = random.standard_normal((k, n)).astype(dtype)
                expect_close(a @ b, a, b)
                expect_close(numpy.asfortranarray(a) @ b, a, b)
                expect_close(a @ numpy.ascontiguousarray(b.T).T, a, b)
                expect_close(numpy.concatenate((a, a), 1)[:, :k] @ b, a, b)  # with a leading dimension
        """

    def test_products_go_to_the_host(self):
        host, here, _ = self.counts(self.program(self.MULTIPLY))
        self.assertEqual((host, here), (16, 0))  # NumPy takes gemv for the vectors

    def test_small_ones_are_computed_here(self):
        # 100 x 90 x 110 takes 1,980,000 operations, 64 x 64 x 64 takes 524,288.
        host, here, _ = self.counts(self.program(self.MULTIPLY, VACCEL_BLAS_MIN_FLOPS="1e6"))
        self.assertEqual((host, here), (8, 8))

    def test_flat_ones_do_not_travel_for_nothing(self):
        text = """
            a = random.standard_normal((2000, 2))
            b = random.standard_normal((2, 2000))
            expect_close(a @ b, a, b)
            """
        self.assertEqual(self.counts(self.program(text, VACCEL_BLAS_MIN_FLOPS="1"))[:2], (0, 1))
        self.assertEqual(self.counts(self.program(text, VACCEL_BLAS_MIN_FLOPS="0"))[:2], (1, 0))

    def test_other_functions_are_passed_on(self):
        host, here, others = self.counts(self.program("""
            a = random.standard_normal((50, 60))
            expect_close(a @ a.T, a, a.T)  # NumPy takes syrk
            c = (a + 1j * a) @ (a.T - 1j * a.T)
            expect_close(c.real, a, a.T, alpha=2)
            """))
        self.assertEqual((host, here), (0, 0))
        self.assertGreaterEqual(others, 2)

    def test_without_an_agent(self):
        said = self.program(self.MULTIPLY, VACCEL_ENDPOINT=NO_AGENT)
        self.assertRegex(said, r"\Alibvaccel-blas: no agent: [^\n]*; products are computed here\n"
                               r"libvaccel-blas: 0 products on the host \(no session\), \d+ here; 0 other calls passed on\n\Z")
        self.assertEqual(self.program(self.MULTIPLY, VACCEL_ENDPOINT=NO_AGENT, VACCEL_BLAS_VERBOSE="0"), "")

    def test_agent_that_dies_meanwhile(self):
        folder = Path(self.enterContext(tempfile.TemporaryDirectory(prefix="vaccel-blas-")))
        agent = Agent(folder)
        self.addCleanup(agent.stop)
        said = self.program(f"""
            import os, signal
            a = random.standard_normal((300, 200))
            b = random.standard_normal((200, 100))
            expect_close(a @ b, a, b)
            os.kill({agent.process.pid}, signal.SIGKILL)
            for _ in range(3):
                expect_close(a @ b, a, b)
            """, VACCEL_ENDPOINT=agent.endpoint)
        self.assertEqual(self.counts(said)[:2], (1, 3))
        self.assertEqual(said.count("products are computed here"), 1, said)

    def test_threads(self):
        host, here, _ = self.counts(self.program("""
            import threading
            a = random.standard_normal((120, 130))
            b = random.standard_normal((130, 140))
            failures = []
            def work():
                try:
                    for _ in range(20):
                        expect_close(a @ b, a, b)
                except BaseException as failure:
                    failures.append(failure)
            threads = [threading.Thread(target=work) for _ in range(8)]
            for thread in threads: thread.start()
            for thread in threads: thread.join()
            assert not failures, failures
            """))
        self.assertEqual((host, here), (160, 0))

    def test_children_have_sessions_of_their_own(self):
        said = self.program("""
            import multiprocessing, os
            a = random.standard_normal((120, 130))
            b = random.standard_normal((130, 140))
            expect_close(a @ b, a, b)
            def work(_):
                expect_close(a @ b, a, b)
                return os.getpid()
            with multiprocessing.get_context("fork").Pool(3) as pool:
                assert os.getpid() not in pool.map(work, range(30))
            child = os.fork()
            if child == 0:
                for _ in range(5): expect_close(a @ b, a, b)
                raise SystemExit(0)
            assert os.waitpid(child, 0)[1] == 0
            expect_close(a @ b, a, b)
            """)
        lines = re.findall(r"libvaccel-blas: (\d+) products on the host \(unix:[^)]*\), (\d+) here", said)
        self.assertIn(("5", "0"), lines, said)
        self.assertIn(("2", "0"), lines, said)

    def test_a_threshold_that_is_none(self):
        said = self.program("a = random.standard_normal((3, 3)); b = a + 1; a @ b", VACCEL_BLAS_MIN_FLOPS="many")
        self.assertIn("VACCEL_BLAS_MIN_FLOPS is 'many'; it must be a number >= 0", said)

    @unittest.skipUnless((REFERENCE_BLAS / "libblas.so.3").exists(), "the reference BLAS is not installed")
    def test_blas_whose_cblas_calls_its_fortran(self):
        reference = {"LD_LIBRARY_PATH": str(REFERENCE_BLAS)}
        host, here, _ = self.counts(self.program(self.MULTIPLY, VACCEL_ENDPOINT=NO_AGENT, **reference))
        self.assertEqual((host, here), (0, 16))
        host, here, _ = self.counts(self.program(self.MULTIPLY, **reference))
        self.assertEqual((host, here), (16, 0))

    @unittest.skipUnless((REFERENCE_BLAS / "libblas.so.3").exists(), "the reference BLAS is not installed")
    def test_a_configured_library(self):
        text = self.MULTIPLY + "\n        assert 'blas/libblas.so.3' in open('/proc/self/maps').read()"
        self.program(text, VACCEL_ENDPOINT=NO_AGENT, VACCEL_BLAS_LIBRARY=str(REFERENCE_BLAS / "libblas.so.3"))
        said = self.program(self.MULTIPLY, VACCEL_ENDPOINT=NO_AGENT, VACCEL_BLAS_LIBRARY="/nonexistent/libblas.so")
        self.assertIn("libvaccel-blas: VACCEL_BLAS_LIBRARY: /nonexistent/libblas.so", said)

    def test_numpys_own_tests(self):
        modules = Path(numpy.__file__).parent
        try:
            import hypothesis, pytest  # noqa: F401, E401
        except ImportError as absent:
            self.skipTest(f"{absent}; scripts/setup --for test brings it")
        # Left out: stacks of tiny matrices, whose 200,000 products say nothing new, and vectors of gigabytes.
        chosen = "(linalg or MatMul or Matmul or matmul or Dot or dot or Inner) and not generalized and not huge_vectordot"
        done = self.run_python(["-m", "pytest", "-q", "-p", "no:cacheprovider", modules / "linalg/tests",
                                modules / "core/tests/test_multiarray.py", "-k", chosen])
        self.assertEqual(done.returncode, 0, done.stdout[-4000:])
        passed = int(re.search(r"(\d+) passed", done.stdout)[1])
        self.assertGreater(passed, 300, done.stdout[-300:])
        host, here, _ = self.counts(done.stderr)
        self.assertGreater(host, 100, done.stderr)
        print(f"\nNumPy: {passed} tests passed, with {host} products on the host and {here} here", file=sys.stderr)


class Names(BlasTest):
    """The four functions, called as compiled programs call them, with everything that they may be given."""

    def test_all_arguments(self):
        host, here, _ = self.counts(self.program("""
            import ctypes, itertools
            blas = ctypes.CDLL(None)
            int_, size = ctypes.c_int, ctypes.c_size_t
            def pointer(x): return x.ctypes.data_as(ctypes.c_void_p)
            def cblas(prefix, real, order, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc):
                getattr(blas, 'cblas_' + prefix + 'gemm')(
                    int_(order), int_(112 if ta else 111), int_(112 if tb else 111), int_(m), int_(n), int_(k), real(alpha),
                    pointer(a), int_(lda), pointer(b), int_(ldb), real(beta), pointer(c), int_(ldc))
            def fortran(prefix, real, order, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc):
                ref = ctypes.byref
                getattr(blas, prefix + 'gemm_')(
                    b'T' if ta else b'n', b'c' if tb else b'N', ref(int_(m)), ref(int_(n)), ref(int_(k)), ref(real(alpha)),
                    pointer(a), ref(int_(lda)), pointer(b), ref(int_(ldb)), ref(real(beta)), pointer(c), ref(int_(ldc)),
                    size(1), size(1))
            calls = 0
            for call, orders in ((cblas, (101, 102)), (fortran, (102,))):
                for (prefix, real, dtype), order, ta, tb, beta in itertools.product(
                        (('s', ctypes.c_float, numpy.float32), ('d', ctypes.c_double, numpy.float64)), orders,
                        (False, True), (False, True), (0, 0.5)):
                    m, n, k, gap = 17, 13, 19, 3
                    memory = 'C' if order == 101 else 'F'
                    def matrix(rows, columns, transposed, fill):
                        if transposed: rows, columns = columns, rows
                        shape = (rows, columns + gap) if order == 101 else (rows + gap, columns)
                        whole = numpy.full(shape, fill, dtype, order=memory)
                        part = whole[:rows, :columns]
                        part[...] = random.standard_normal((rows, columns))
                        return whole, part, whole.strides[0 if order == 101 else 1] // whole.itemsize
                    a, a_part, lda = matrix(m, k, ta, numpy.nan)
                    b, b_part, ldb = matrix(k, n, tb, numpy.nan)
                    c, c_part, ldc = matrix(m, n, False, 77)
                    if beta == 0: c_part[...] = numpy.nan
                    before = c_part.copy() if beta else 0
                    call(prefix, real, order, ta, tb, m, n, k, 0.25, a, lda, b, ldb, beta, c, ldc)
                    expect_close(c_part, a_part.T if ta else a_part, b_part.T if tb else b_part, 0.25, beta, before)
                    gaps = c[:, n:] if order == 101 else c[m:]
                    assert (gaps == 77).all()
                    calls += 1
            assert calls == 48
            """))
        self.assertEqual((host, here), (48, 0))


if __name__ == "__main__":
    unittest.main()
