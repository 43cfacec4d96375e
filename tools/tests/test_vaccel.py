# SPDX-License-Identifier: Apache-2.0
"""The tool vaccel as a user types it, against an agent of its own: every command, every exit code, every kind of bad input."""

import contextlib
import hashlib
import json
import os
import pty
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import unittest
import zlib
from pathlib import Path

try:
    import numpy
except ImportError:
    numpy = None

TREE = Path(__file__).resolve().parents[2]
SOURCES = TREE / "tools/vaccel"
BIN = Path(os.environ.get("VACCEL_TEST_BIN", TREE / "build/bin"))
CATALOGUE = Path(os.environ.get("VACCEL_TEST_CATALOGUE", TREE / "build/catalogue"))
PARTS = Path(os.environ.get("VACCEL_TEST_PARTS", TREE / "build/parts"))
CAT = PARTS / "photos/chelsea.png"
ASTRONAUT = PARTS / "photos/astronaut.png"
MOTORCYCLE = PARTS / "photos/motorcycle_left.png"
PATIENCE_SECONDS = 60
NOBODY = 65534
NO_AGENT = "unix:/nonexistent/vaccel-tests-name-their-endpoint"
VISION = ("classify", "detect", "segment", "pose", "depth")
COMMANDS = (*VISION, "infer", "models", "info", "backends", "operators", "ping", "call", "upload", "delete")
STAGES = ("total", "agent", "queue", "worker", "decode", "prepare", "infer", "postprocess")
MODELS = ("altered", "hostile", "missing", "mobilenet", "plain")
OTHERS = {"deeplabv3": "segment", "fastdepth": "depth", "posenet": "pose", "ssd-mobilenet": "detect"}
HOSTILE_LABEL = "\x1b[2J\x1b]0;gotcha\x07Egyptian\tcat \u732b"

for program in ("vaccel", "vacceld", "vaccel-worker"):
    if not (BIN / program).is_file():
        raise unittest.SkipTest(f"{BIN} has no {program}; build it first")
for part in (CAT, ASTRONAUT, MOTORCYCLE, *(CATALOGUE / model / "model.toml" for model in ("mobilenet", *OTHERS))):
    if not part.is_file():
        raise unittest.SkipTest(f"{part} is not there; run scripts/setup and scripts/make-catalogue")
needs_numpy = unittest.skipIf(numpy is None, "this Python has no NumPy")


def environment(**variables) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "LC_ALL", "LC_CTYPE")}
    return kept | {"VACCEL_ENDPOINT": NO_AGENT, "TERM": "xterm", "LANG": "C.UTF-8"} | variables


def run(*arguments, **options) -> subprocess.CompletedProcess:
    """vaccel with these arguments. Text, unless stdin is bytes."""
    options.setdefault("env", environment())
    if "input" not in options:
        options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run([BIN / "vaccel", *map(str, arguments)], capture_output=True, timeout=PATIENCE_SECONDS, **options)


def can_run_as_nobody() -> bool:
    if os.geteuid() != 0:
        return False
    try:
        return run("--version", user=NOBODY, group=NOBODY, extra_groups=[]).returncode == 0
    except OSError:
        return False


def make_catalogue(folder: Path):
    """MobileNet; a copy of it with an evil label; one that only infers; one whose file was altered; one without a file."""
    text = (CATALOGUE / "mobilenet/model.toml").read_text()
    for name in MODELS:
        shutil.copytree(CATALOGUE / "mobilenet", folder / name)
        (folder / name / "model.toml").write_text(text.replace('name = "mobilenet"', f'name = "{name}"'))
    hostile = folder / "hostile"
    labels = (hostile / "labels.txt").read_text().splitlines()
    labels[286] = HOSTILE_LABEL
    (hostile / "labels.txt").write_text("\n".join(labels) + "\n")
    digest = hashlib.sha256((hostile / "labels.txt").read_bytes()).hexdigest()
    toml = (hostile / "model.toml").read_text()
    (hostile / "model.toml").write_text(re.sub(r'labels_sha256 = "\w+"', f'labels_sha256 = "{digest}"', toml))
    plain = (folder / "plain/model.toml").read_text().split("[image]")[0]
    (folder / "plain/model.toml").write_text(plain.replace('task = "classify"', 'task = "infer"'))
    with open(folder / "altered/model.onnx", "ab") as model:
        model.write(b"!")
    (folder / "missing/model.onnx").unlink()
    for name in OTHERS:
        shutil.copytree(CATALOGUE / name, folder / name)


class Agent:
    """A vacceld with one worker that runs one call at a time, until stop()."""

    def __init__(self, folder: Path):
        self.endpoint = f"unix:{folder / 'a.sock'}"
        self.config = folder / "vaccel.toml"
        self.config.write_text(f'listen = ["{self.endpoint}"]\ncatalogue = "{folder / "catalogue"}"\n'
                               "[worker]\nthreads = 1\n[uploads]\ndirectory = \"uploads\"\n[backend.reference]\nfaults = true\n")
        self.log = folder / "log"
        ready = folder / "ready.sock"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifications, open(self.log, "wb") as log:
            notifications.bind(str(ready))
            notifications.settimeout(PATIENCE_SECONDS)
            self.process = subprocess.Popen([BIN / "vacceld", "--config", self.config], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, env=environment(NOTIFY_SOCKET=str(ready)))
            try:
                while b"READY=1" not in notifications.recv(4096).split(b"\n"):
                    pass
            except BaseException:
                self.stop()
                raise

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class ToolTest(unittest.TestCase):
    """A folder for a test's files, and the forms in which the tool answers."""

    maxDiff = None
    endpoint = NO_AGENT

    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory(prefix="vaccel-tool-")))
        self.folder.chmod(0o755)

    def file(self, name: str, content: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content)
        return path

    def vaccel(self, *arguments, **options) -> subprocess.CompletedProcess:
        return run("--endpoint", self.endpoint, *arguments, **options)

    def says(self, *arguments, **options) -> str:
        """What it prints for people when all goes well."""
        done = self.vaccel(*arguments, **options)
        self.assertEqual((done.returncode, done.stderr), (0, b""), done.stdout)
        self.assertNotIn(b"\x1b", done.stdout)
        return done.stdout.decode()

    def object(self, *arguments, **options) -> dict:
        """The one object that it prints with --json when all goes well."""
        done = self.vaccel(*arguments, "--json", **options)
        self.assertEqual((done.returncode, done.stderr), (0, b""), done.stdout)
        self.assertTrue(done.stdout.isascii())
        return json.loads(done.stdout)

    def fails(self, exit_code: int, name: str, pattern: str, *arguments, **options):
        """Fails with this exit code and sentence, on stderr alone; with --json on stdout, too."""
        done = self.vaccel(*arguments, **options)
        said = done.stderr.decode()
        self.assertEqual((done.returncode, done.stdout), (exit_code, b""), said)
        self.assertRegex(said, r"\Avaccel: [^\n]+\n\Z")
        self.assertRegex(said, pattern)
        done = self.vaccel(*arguments, "--json", **options)
        self.assertEqual(done.returncode, exit_code, done.stderr)
        self.assertRegex(done.stderr.decode(), pattern)
        error = json.loads(done.stdout)["error"]
        self.assertEqual(error["code"], name)
        self.assertRegex(error["message"], pattern)


class WithoutAgent(ToolTest):
    def test_no_agent(self):
        for command in (["info"], ["models"], ["models", "mobilenet"], ["backends"], ["operators"], ["ping"],
                        *([command, CAT] for command in VISION), ["call", "reference.noop"]):
            with self.subTest(command):
                self.fails(4, "UNAVAILABLE", re.escape(NO_AGENT), *command)

    def test_environment_names_the_endpoint(self):
        done = run("info", env=environment(VACCEL_ENDPOINT="unix:/nonexistent/from-environment"))
        self.assertEqual(done.returncode, 4)
        self.assertIn(b"unix:/nonexistent/from-environment", done.stderr)

    def test_wrong_usage(self):
        for arguments in ([], ["frobnicate"], ["classify"], ["classify", CAT, "--top", "0"], ["classify", CAT, "--top", "x"],
                          ["classify", "-", "-"], ["classify", CAT, "-o", "x.png"], ["segment", CAT, "--top", "1"],
                          ["detect", CAT, "--min-score", "2"], ["depth", CAT, "--min-score", "0.5"], ["pose"], ["infer"], ["infer", "m", "--input", "x="], ["ping", "--count", "-1"],
                          ["ping", "--interval", "1"], ["info", "--deadline", "1s"], ["models", "--deadline", "1s"],
                          ["operators", "--deadline", "1s"], ["backends", "--deadline", "1s"], ["backends", "x"],
                          ["classify", CAT, "--deadline", "later"], ["call", "x", "--attribute", "y"], ["info", "--frob"]):
            with self.subTest(arguments):
                self.fails(2, "INVALID_ARGUMENT", r"\(see vaccel .*--help\)", *arguments)

    def test_endpoint_that_is_none(self):
        for endpoint in ("nonsense", "", "http://localhost", "unix:", "tcp:127.0.0.1:99999"):
            with self.subTest(endpoint):
                self.endpoint = endpoint
                self.fails(2, "INVALID_ARGUMENT", "endpoint", "info")

    def test_own_files_are_looked_at_before_an_agent_is_asked(self):
        self.fails(3, "NOT_FOUND", "nowhere.png: No such file", "classify", self.folder / "nowhere.png")
        self.fails(2, "INVALID_ARGUMENT", "Is a directory", "classify", self.folder)
        self.fails(3, "NOT_FOUND", "nowhere.png: No such file", "detect", CAT, self.folder / "nowhere.png")
        text = self.file("text.png", b"This is no picture.")
        self.fails(2, "INVALID_ARGUMENT", "text.png: .*no PNG, JPEG or WebP", "detect", text, "-o", self.folder / "out.png")
        self.fails(2, "INVALID_ARGUMENT", "File exists", "pose", CAT, ASTRONAUT, "-o", text)
        self.fails(3, "NOT_FOUND", "No such file", "pose", CAT, ASTRONAUT, "-o", self.folder / "no/where")
        self.fails(3, "NOT_FOUND", "nowhere.npy", "infer", "mobilenet", "--input", self.folder / "nowhere.npy")
        self.fails(2, "INVALID_ARGUMENT", "Is a directory", "infer", "mobilenet", "--input", f"x={self.folder}")
        self.fails(2, "INVALID_ARGUMENT", "no .npy file", "infer", "mobilenet", "--input", CAT)
        self.fails(2, "INVALID_ARGUMENT", "empty", "call", "reference.echo", "--input", self.file("empty.npy", b""))

    def test_unreadable_file(self):
        photo = self.file("secret.png", b"secret")
        photo.chmod(0)
        if os.geteuid() != 0:
            self.fails(7, "PERMISSION_DENIED", "secret.png: Permission denied", "classify", photo)
        elif can_run_as_nobody():
            self.fails(7, "PERMISSION_DENIED", "secret.png: Permission denied", "classify", photo, user=NOBODY, group=NOBODY,
                       extra_groups=[])
        else:
            self.skipTest("root reads everything, and nobody else may run the program here")

    @contextlib.contextmanager
    def server(self, greeting: bytes):
        """What is no agent: it says `greeting` to whoever connects, and no more."""
        path, stop = self.folder / "s.sock", threading.Event()
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen()

            def serve():
                while True:
                    peer, _ = listener.accept()
                    peers.append(peer)
                    if stop.is_set():
                        return
                    with contextlib.suppress(BrokenPipeError):
                        peer.sendall(greeting)

            peers = []
            thread = threading.Thread(target=serve)
            thread.start()
            self.endpoint = f"unix:{path}"
            try:
                yield
            finally:
                stop.set()
                with socket.socket(socket.AF_UNIX) as last:
                    last.connect(str(path))
                thread.join()
                for peer in peers:
                    peer.close()

    def test_server_that_is_no_agent(self):
        with self.server(b"HTTP/1.1 400 Bad Request\r\nServer: other\r\nContent-Length: 0\r\n\r\n" * 4):
            self.fails(1, "PROTOCOL_ERROR", re.escape(self.endpoint), "ping")

    def test_server_that_says_nothing(self):
        with self.server(b""):
            began = time.monotonic()
            self.fails(5, "DEADLINE_EXCEEDED", re.escape(self.endpoint), "ping", "--deadline", "200ms")
            self.assertLess(time.monotonic() - began, 10)

    def test_help_and_version(self):
        for arguments in (["--help"], ["-h"], *([command, "--help"] for command in COMMANDS)):
            with self.subTest(arguments):
                done = run(*arguments)
                self.assertEqual((done.returncode, done.stderr), (0, b""))
                self.assertIn(b"Examples:\n  vaccel ", done.stdout)
                self.assertLessEqual(max(map(len, done.stdout.decode().splitlines())), 100)
        for code in (*range(10), 130):
            self.assertRegex(run("--help").stdout.decode(), rf"\n  {code} +\w")
        self.assertRegex(run("--version").stdout.decode(), r"\Avaccel \d+\.\d+\.\d+ \(libvaccel \d+\.\d+\.\d+\)\n\Z")

    def test_full_disk_behind_standard_output(self):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([BIN / "vaccel", "--help"], stdout=full, stderr=subprocess.PIPE, env=environment())
        self.assertEqual(done.returncode, 6)
        self.assertIn(b"cannot write to standard output: No space left", done.stderr)

    def test_needs_libvaccel_and_libc_alone(self):
        if "asan" in subprocess.run(["nm", "-D", BIN / "vaccel"], capture_output=True, text=True).stdout:
            self.skipTest("a sanitizer's build needs its runtime")
        said = subprocess.run(["readelf", "-d", BIN / "vaccel"], capture_output=True, text=True, check=True).stdout
        needed = set(re.findall(r"NEEDED.*\[(\w+)[^\]]*\]", said))
        self.assertLessEqual({"libvaccel"}, needed)
        self.assertLessEqual(needed, {"libvaccel", "libc", "libm", "ld"})
        self.assertRegex(said, r"RUNPATH.*\[(\$ORIGIN/\.\./[\w/-]+:)?\$ORIGIN/\.\./lib\]")


class WithAgent(ToolTest):
    @classmethod
    def setUpClass(cls):
        folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory(prefix="vaccel-tool-agent-")))
        folder.chmod(0o755)
        make_catalogue(folder / "catalogue")
        cls.agent = Agent(folder)
        cls.addClassCleanup(cls.agent.stop)
        cls.endpoint = cls.agent.endpoint


class Classify(WithAgent):
    def check_cat(self, said: dict):
        self.assertEqual(said["model"], "mobilenet")
        best = said["classes"][0]
        self.assertEqual((best["index"], best["label"]), (286, "Egyptian cat"))
        self.assertAlmostEqual(best["score"], 0.93, delta=0.03)
        self.assertEqual(list(said["timings"]), [f"{stage}_us" for stage in STAGES])
        self.assertGreater(said["timings"]["total_us"], said["timings"]["infer_us"])
        self.assertGreater(said["timings"]["infer_us"], 0)

    def test_json(self):
        said = self.object("classify", CAT)
        self.check_cat(said)
        # Into the window, and out of it again before it is decoded; the classes themselves are small.
        self.assertAlmostEqual(said["copied_bytes"], 2 * CAT.stat().st_size, delta=4096)
        self.assertEqual(said["endpoint"], self.endpoint)
        self.assertEqual(len(said["classes"]), 5)
        scores = [found["score"] for found in said["classes"]]
        self.assertEqual(scores, sorted(scores, reverse=True))
        for score in scores:  # exactly a float32
            self.assertEqual(struct.unpack("f", struct.pack("f", score))[0], score)

    def test_table(self):
        said = self.says("classify", CAT).splitlines()
        self.assertEqual(said[0].split(), ["rank", "score", "label", "index"])
        self.assertRegex(said[1], r"^ +1  0\.9\d\d\d  Egyptian cat +286$")
        self.assertEqual(said[6], "")
        self.assertEqual(said[7].split(), ["stage", "ms"])
        self.assertRegex("\n".join(said[8:]), r"\Atotal +\d+\.\d\d\n(  )+\w+ +\d+\.\d\d\n")
        self.assertRegex(said[-1], r"^copied \d+ bytes$")
        self.assertTrue(all(line == line.rstrip() for line in said))

    def test_standard_input(self):
        self.check_cat(self.object("classify", "-", input=CAT.read_bytes()))

    def test_local_session_says_the_same(self):
        there = self.object("classify", CAT, "--model", "mobilenet")
        done = run("--endpoint", f"local:{self.agent.config}", "--json", "classify", "--model", "mobilenet", CAT)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        here = json.loads(done.stdout)
        self.check_cat(here)
        for ours, theirs in zip(here["classes"], there["classes"], strict=True):
            self.assertEqual(ours["index"], theirs["index"])
            self.assertAlmostEqual(ours["score"], theirs["score"], delta=1e-5)

    def test_top_and_repeat(self):
        said = self.object("classify", CAT, "--top", "2", "--repeat", "3")
        self.assertEqual(len(said["classes"]), 2)
        totals = [timings["total_us"] for timings in said["runs"]]
        self.assertEqual(len(totals), 3)
        self.assertEqual(said["timings"]["total_us"], sorted(totals)[1])
        self.assertEqual(len(self.object("classify", CAT, "--top", "5000")["classes"]), 1001)
        self.assertRegex(self.says("classify", CAT, "--repeat", "2"), r"\nstage +median ms +min ms +max ms\ntotal ")

    def test_labels_are_no_commands_to_the_terminal(self):
        said = self.says("classify", CAT, "--model", "hostile")
        self.assertIn("\ufffd[2J\ufffd]0;gotcha\ufffdEgyptian\ufffdcat \u732b", said)
        self.assertEqual(re.findall(r"[\x00-\x09\x0b-\x1f\x7f]", said), [])
        self.assertEqual(self.object("classify", CAT, "--model", "hostile")["classes"][0]["label"], HOSTILE_LABEL)

    def on_terminal(self, **variables) -> str:
        """What classify says on a terminal."""
        ours, theirs = pty.openpty()
        with open(ours, "rb", buffering=0) as terminal:
            running = subprocess.Popen([BIN / "vaccel", "--endpoint", self.endpoint, "classify", CAT], stdin=theirs,
                                       stdout=theirs, stderr=theirs, env=environment(**variables))
            os.close(theirs)
            said = b""
            with contextlib.suppress(OSError):  # the end of a terminal
                while part := terminal.read(4096):
                    said += part
            self.assertEqual(running.wait(PATIENCE_SECONDS), 0)
        return said.decode()

    def test_terminal_gets_bold_headings_and_bars(self):
        said = self.on_terminal()
        self.assertRegex(said, "\x1b\\[1mrank .*index\x1b\\[0m\r\n")
        self.assertRegex(said, "\r\ntotal +\\d+\\.\\d\\d  \u2501{30}\r\n")
        self.assertIn("=" * 30, self.on_terminal(LANG="C"))
        for variables in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
            with self.subTest(variables):
                said = self.on_terminal(**variables)
                self.assertNotIn("\x1b", said)
                self.assertIn("\u2501" * 30, said)

    def test_pictures_that_are_none(self):
        whole = CAT.read_bytes()
        for name, content, pattern in (("empty.png", b"", "empty|0 bytes"), ("text.png", b"This is no picture.\n" * 20, "no PNG, JPEG"),
                                       ("cut.png", whole[: len(whole) // 2], "cut off"), ("byte.png", b"\x89", "no PNG, JPEG"),
                                       ("flipped.png", whole[:5000] + bytes(64) + whole[5064:], "PNG")):
            with self.subTest(name):
                self.fails(2, "INVALID_ARGUMENT", pattern, "classify", self.file(name, content))
        self.check_cat(self.object("classify", CAT))

    def test_picture_that_claims_to_be_huge(self):
        def chunk(kind: bytes, data: bytes) -> bytes:
            return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

        header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
        huge = (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100_000)))
                + chunk(b"IEND", b""))
        self.fails(6, "RESOURCE_EXHAUSTED", "60000 x 60000", "classify", self.file("huge.png", huge))

    def test_models_that_do_not_do(self):
        self.fails(3, "NOT_FOUND", "nosuch", "classify", CAT, "--model", "nosuch")
        self.fails(9, "UNIMPLEMENTED", "plain", "classify", CAT, "--model", "plain")
        self.fails(4, "UNAVAILABLE", "missing", "classify", CAT, "--model", "missing")

    def test_deadlines(self):
        self.fails(5, "DEADLINE_EXCEEDED", "(?i)deadline", "classify", CAT, "--deadline", "0")
        self.check_cat(self.object("classify", CAT, "--deadline", "50s"))


def png(path: Path) -> tuple[int, int, list[bytes]]:
    """Width, height and rows of an 8-bit RGB PNG file."""
    data = path.read_bytes()
    width, height, depth, colours, _, _, interlaced = struct.unpack(">IIBBBBB", data[16:29])
    if (data[:8], depth, colours, interlaced) != (b"\x89PNG\r\n\x1a\n", 8, 2, 0):
        raise AssertionError(f"{path} is no plain RGB PNG file")
    packed, at = b"", 8
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        packed += data[at + 8:at + 8 + size] if kind == b"IDAT" else b""
        at += 12 + size
    raw, rows, stride = zlib.decompress(packed), [], 3 * width
    for y in range(height):
        method, row = raw[y * (stride + 1)], bytearray(raw[y * (stride + 1) + 1:(y + 1) * (stride + 1)])
        above = rows[-1] if rows else bytes(stride)
        for x in range(stride):
            left, up, corner = row[x - 3] if x >= 3 else 0, above[x], above[x - 3] if x >= 3 else 0
            nearest = min((left, up, corner), key=lambda value: abs(left + up - corner - value))
            row[x] = (row[x] + (0, left, up, (left + up) // 2, nearest)[method]) & 255
        rows.append(bytes(row))
    return width, height, rows


class Vision(WithAgent):
    """What the other four operators say of photos, and what they draw."""

    def test_detect(self):
        said = self.object("detect", ASTRONAUT)
        self.assertEqual((said["model"], said["width"], said["height"]), ("ssd-mobilenet", 512, 512))
        best = said["detections"][0]
        self.assertEqual((best["index"], best["label"]), (1, "person"))
        self.assertAlmostEqual(best["score"], 0.65, delta=0.03)
        self.assertLess(best["x"], 100)
        self.assertGreater(best["x"] + best["width"], 300)
        self.assertLessEqual(best["y"] + best["height"], 512)
        lines = self.says("detect", ASTRONAUT).splitlines()
        self.assertEqual(lines[0].split(), ["rank", "score", "label", "index", "x", "y", "width", "height"])
        self.assertRegex(lines[1], r"^ +1  0\.6\d\d\d  person +1 +\d+\.\d +\d+\.\d +\d+\.\d +\d+\.\d$")

    def test_what_is_wanted(self):
        every = self.object("detect", ASTRONAUT, "--min-score", "0")["detections"]
        self.assertGreater(len(every), 10)
        sure = self.object("detect", ASTRONAUT, "--min-score", "0.62")["detections"]
        self.assertEqual(sure, [found for found in every if found["score"] >= 0.62])
        self.assertEqual(self.object("detect", ASTRONAUT, "--min-score", "0", "--top", "3")["detections"], every[:3])
        self.assertEqual(self.object("detect", ASTRONAUT, "--min-score", "1")["detections"], [])
        self.assertRegex(self.says("detect", ASTRONAUT, "--min-score", "1"), r"\Anothing was found; --min-score")
        self.assertRegex(self.says("pose", ASTRONAUT, "--min-score", "1"), r"\Ano body was found; --min-score")

    def test_segment(self):
        said = self.object("segment", CAT)
        self.assertEqual((said["model"], said["width"], said["height"]), ("deeplabv3", 451, 300))
        self.assertEqual((said["model_width"], said["model_height"]), (257, 257))
        self.assertEqual((said["classes"][0]["index"], said["classes"][0]["label"]), (8, "cat"))
        self.assertGreater(said["classes"][0]["share"], 0.6)
        self.assertEqual(sum(found["pixels"] for found in said["classes"]), 451 * 300)
        lines = self.says("segment", CAT).splitlines()
        self.assertEqual(lines[0].split(), ["share", "label", "index"])
        self.assertRegex(lines[1], r"^\d\d\.\d\d %  cat +8$")

    def test_pose(self):
        said = self.object("pose", ASTRONAUT)
        self.assertEqual((said["model"], said["width"], said["height"]), ("posenet", 512, 512))
        points = {point["name"]: point for point in said["poses"][0]["keypoints"]}
        self.assertEqual(len(points), 17)
        self.assertAlmostEqual(points["nose"]["x"] / 512, 0.44, delta=0.03)
        self.assertAlmostEqual(points["nose"]["y"] / 512, 0.25, delta=0.03)
        self.assertGreater(points["nose"]["score"], 0.9)
        lines = self.says("pose", ASTRONAUT).splitlines()
        self.assertEqual(lines[0].split(), ["pose", "keypoint", "score", "x", "y"])
        self.assertRegex(lines[2], r"^ +nose +0\.9\d\d\d +\d+\.\d +\d+\.\d$")

    def test_depth(self):
        said = self.object("depth", MOTORCYCLE)
        self.assertEqual((said["model"], said["kind"], said["width"], said["height"]), ("fastdepth", "metric", 741, 500))
        self.assertLess(0, said["min"])
        self.assertLess(said["min"], said["median"])
        self.assertLess(said["median"], said["max"])
        lines = self.says("depth", MOTORCYCLE).splitlines()
        self.assertRegex(lines[1], r"^metric, metres  741 x 500  224 x 224  \d\.\d+  +\d\.\d+  +\d\.\d+$")

    def test_several_photos_in_one_call(self):
        said = self.object("classify", CAT, ASTRONAUT, "--top", "2")
        self.assertEqual([photo["photo"] for photo in said["photos"]], [str(CAT), str(ASTRONAUT)])
        for photo in said["photos"]:
            alone = self.object("classify", photo["photo"], "--top", "2")
            for ours, theirs in zip(photo["classes"], alone["classes"], strict=True):
                self.assertEqual(ours["index"], theirs["index"])
                self.assertAlmostEqual(ours["score"], theirs["score"], delta=1e-5)
        text = self.says("detect", CAT, ASTRONAUT)
        self.assertRegex(text, rf"\A{re.escape(str(CAT))}:\nrank .*\n +1 .*  cat [^:]*\n\n{re.escape(str(ASTRONAUT))}:\nrank ")
        bad = self.file("bad.png", b"This is no picture.")
        self.fails(2, "INVALID_ARGUMENT", "(?i)image 1|second", "depth", CAT, bad)
        self.fails(2, "INVALID_ARGUMENT", "65 images are given; a call takes 1 to 64", "depth", *[CAT] * 65)

    def test_draws(self):
        for command, photo, size in (("detect", ASTRONAUT, (512, 512)), ("segment", CAT, (451, 300)),
                                     ("pose", ASTRONAUT, (512, 512)), ("depth", MOTORCYCLE, (741, 500))):
            with self.subTest(command):
                drawing = self.folder / f"{command}.png"
                said = self.object(command, photo, "-o", drawing)
                self.assertEqual(said["drawing"], str(drawing))
                width, height, rows = png(drawing)
                self.assertEqual((width, height), size)
                if command == "detect":
                    self.check_box(said["detections"][0], rows)

    def check_box(self, box: dict, rows: list[bytes]):
        """The left edge of the box is a line of one colour."""
        middle = [rows[y][3 * round(box["x"]):3 * round(box["x"]) + 3]
                  for y in range(round(box["y"]) + 60, round(box["y"] + box["height"]) - 20)]
        self.assertEqual(len(set(middle)), 1)

    def test_draws_several_into_a_folder(self):
        folder = self.folder / "pictures"
        webp = self.file("chelsea.webp", b"RIFF")
        said = self.object("segment", CAT, ASTRONAUT, "-o", folder)
        self.assertEqual([photo["drawing"] for photo in said["photos"]], [f"{folder}/chelsea.png", f"{folder}/astronaut.png"])
        self.assertEqual(sorted(path.name for path in folder.iterdir()), ["astronaut.png", "chelsea.png"])
        self.assertIn(f"drawn to {folder}/astronaut.png\n", self.says("segment", CAT, ASTRONAUT, "-o", folder))
        self.fails(2, "INVALID_ARGUMENT", "two photos would be drawn to", "segment", CAT, CAT, "-o", folder)
        self.fails(2, "INVALID_ARGUMENT", "drawn over; choose another folder", "segment", CAT, ASTRONAUT, "-o", CAT.parent)
        self.fails(2, "INVALID_ARGUMENT", "chelsea.webp: ", "segment", webp, ASTRONAUT, "-o", folder)

    def test_drawings_that_cannot_be_written(self):
        self.fails(3, "NOT_FOUND", "No such file", "detect", CAT, "-o", self.folder / "nowhere/out.png")
        self.fails(2, "INVALID_ARGUMENT", "Is a directory", "detect", CAT, "-o", self.folder)
        self.fails(6, "RESOURCE_EXHAUSTED", "No space left", "detect", CAT, "-o", "/dev/full")

    def test_local_session_says_the_same(self):
        for command in VISION[1:]:
            with self.subTest(command):
                there = self.object(command, ASTRONAUT)
                done = run("--endpoint", f"local:{self.agent.config}", "--json", command, ASTRONAUT)
                self.assertEqual((done.returncode, done.stderr), (0, b""))
                here = json.loads(done.stdout)
                unlike = ("endpoint", "timings", "copied_bytes")
                self.assertEqual({name: value for name, value in here.items() if name not in unlike},
                                 {name: value for name, value in there.items() if name not in unlike})

    def test_models_that_do_something_else(self):
        for command in VISION[1:]:
            with self.subTest(command):
                self.fails(9, "UNIMPLEMENTED", "mobilenet", command, CAT, "--model", "mobilenet")
        self.fails(3, "NOT_FOUND", "nosuch", "depth", CAT, "--model", "nosuch")


class Choice(ToolTest):
    """Which model it takes where none is named."""

    def agent_of(self, models: dict[str, str]) -> None:
        """An agent with copies of catalogue entries under these names."""
        catalogue = self.folder / "catalogue"
        for name, source in models.items():
            shutil.copytree(CATALOGUE / source, catalogue / name)
            toml = catalogue / name / "model.toml"
            toml.write_text(toml.read_text().replace(f'name = "{source}"', f'name = "{name}"'))
        agent = Agent(self.folder)
        self.addCleanup(agent.stop)
        self.endpoint = agent.endpoint

    def test_the_only_one_the_usual_one_or_none(self):
        self.agent_of({"one": "fastdepth", "other": "fastdepth", "joints": "posenet", "ssd-mobilenet": "ssd-mobilenet",
                       "alike": "ssd-mobilenet"})
        self.assertEqual(self.object("pose", ASTRONAUT)["model"], "joints")
        self.assertEqual(self.object("detect", ASTRONAUT)["model"], "ssd-mobilenet")
        self.fails(2, "INVALID_ARGUMENT", "2 models whose task is 'depth': one, other; say which with --model", "depth", CAT)
        self.assertEqual(self.object("depth", CAT, "--model", "other")["model"], "other")
        self.fails(3, "NOT_FOUND", "no model at .* whose task is 'segment'", "segment", CAT)
        self.fails(3, "NOT_FOUND", "no model at .* whose task is 'classify'", "classify", CAT)


@needs_numpy
class Infer(WithAgent):
    OUTPUT = "MobilenetV1/Predictions/Reshape_1"

    def array(self, name: str, values, **options) -> Path:
        path = self.folder / name
        numpy.save(path, numpy.asarray(values, **options))
        return path

    def image(self, name="image.npy", **options) -> Path:
        ramp = numpy.linspace(-1, 1, 3 * 224 * 224, dtype=numpy.float32).reshape(1, 3, 224, 224)
        return self.array(name, ramp, **options)

    def test_json(self):
        said = self.object("infer", "mobilenet", "--input", f"input={self.image()}")
        self.assertEqual((said["operator"], said["model"], said["endpoint"]), ("infer", "mobilenet", self.endpoint))
        output, = said["outputs"]
        self.assertEqual((output["name"], output["dtype"], output["shape"]), (self.OUTPUT, "float32", [1, 1001]))
        self.assertAlmostEqual(output["mean"] * 1001, 1, delta=1e-4)
        self.assertLessEqual(0, output["min"])
        self.assertLess(output["min"], output["mean"])
        self.assertLess(output["mean"], output["max"])
        self.assertEqual(output["nan_count"], 0)
        self.assertGreater(said["timings"]["infer_us"], 0)
        self.assertAlmostEqual(said["copied_bytes"], 4 * 3 * 224 * 224, delta=4096)  # the input, once

    def test_table(self):
        said = self.says("infer", "mobilenet", "--input", self.image()).splitlines()
        self.assertEqual(said[0].split(), ["output", "dtype", "shape", "min", "max", "mean"])
        self.assertRegex(said[1], rf"^{self.OUTPUT}  float32  \[1, 1001\] +[\d.e-]+ +[\d.e-]+ +0\.000999")
        self.assertRegex(said[-1], r"^copied \d+ bytes$")

    def test_outputs_are_written(self):
        one, folder = self.folder / "one.npy", self.folder / "made"
        said = self.object("infer", "mobilenet", "--input", self.image(), "--output", f"{self.OUTPUT}={one}", "--output-dir",
                           folder)
        self.assertEqual([path.name for path in folder.iterdir()], ["MobilenetV1_Predictions_Reshape_1.npy"])
        values = numpy.load(one)
        self.assertEqual((values.shape, values.dtype), ((1, 1001), numpy.float32))
        self.assertEqual(said["outputs"][0]["max"], float(values.max()))
        numpy.testing.assert_array_equal(numpy.load(next(folder.iterdir())), values)

    def test_fortran_order_is_the_same_image(self):
        c, fortran = self.folder / "c.npy", self.folder / "fortran.npy"
        self.says("infer", "mobilenet", "--input", self.image("a.npy", order="C"), "--output", c)
        self.says("infer", "mobilenet", "--input", self.image("b.npy", order="F"), "--output", fortran)
        numpy.testing.assert_array_equal(numpy.load(c), numpy.load(fortran))

    def test_inputs_that_the_model_does_not_take(self):
        def refused(pattern: str, *arguments):
            self.fails(2, "INVALID_ARGUMENT", pattern, "infer", "mobilenet", *arguments)

        refused("float64", "--input", self.array("double.npy", numpy.zeros((1, 3, 224, 224))))
        refused(r"\[1, 3, 200, 200\]", "--input", self.array("small.npy", numpy.zeros((1, 3, 200, 200), "f4")))
        refused(r"\[224\]", "--input", self.array("rank.npy", numpy.zeros(224, "f4")))
        refused(r"\[0, 3, 224, 224\]", "--input", self.array("none.npy", numpy.zeros((0, 3, 224, 224), "f4")))
        refused("no input 'other'", "--input", f"other={self.image()}")
        refused("missing")
        refused("2 inputs are given|twice", "--input", self.image(), "--input", self.image("second.npy"))
        refused("objects", "--input", self.array("objects.npy", [{}], dtype=object))
        self.fails(3, "NOT_FOUND", "nosuch", "infer", "nosuch", "--input", self.image())

    def test_nan_is_counted(self):
        x = self.array("x.npy", numpy.array([1, numpy.nan, 3, numpy.inf], "f4"))
        output, = self.object("call", "reference.echo", "--input", f"x={x}")["outputs"]
        self.assertEqual((output["nan_count"], output["min"], output["max"]), (1, 1.0, "inf"))
        self.assertIn("NaN", self.says("call", "reference.echo", "--input", f"x={x}").splitlines()[0])

    def test_outputs_that_are_not_there_or_cannot_be_written(self):
        image = self.image()
        for exit_code, name, pattern, *arguments in (
                (3, "NOT_FOUND", "no output 'other'.*Reshape_1", "--output", f"other={self.folder}/o.npy"),
                (3, "NOT_FOUND", "No such file", "--output", self.folder / "nowhere/o.npy"),
                (2, "INVALID_ARGUMENT", "Is a directory", "--output", self.folder),
                (6, "RESOURCE_EXHAUSTED", "No space left", "--output", "/dev/full"),
                (2, "INVALID_ARGUMENT", "File exists", "--output-dir", image)):
            with self.subTest(pattern):
                self.fails(exit_code, name, pattern, "infer", "mobilenet", "--input", image, *arguments)
        self.assertEqual([path.name for path in self.folder.iterdir()], ["image.npy"])

    def test_every_type_comes_back_through_files(self):
        back = self.folder / "back.npy"
        for kind in "f2 f4 f8 i1 i2 i4 i8 u1 u2 u4 u8 b1 U7 V2".split():
            with self.subTest(kind):
                values = (numpy.arange(6, dtype="u2").view("V2") if kind == "V2" else numpy.arange(6).astype(kind)).reshape(2, 3)
                self.says("call", "reference.echo", "--input", f"x={self.array('x.npy', values)}", "--output", f"x={back}")
                loaded = numpy.load(back)
                self.assertEqual((loaded.shape, loaded.dtype.kind), (values.shape, values.dtype.kind))
                self.assertEqual(loaded.tolist(), values.tolist())

    def test_classify_as_any_operator(self):
        photo = self.array("photo.npy", numpy.frombuffer(CAT.read_bytes(), "u1"))
        index = self.folder / "index.npy"
        said = self.object("call", "classify", "--model", "mobilenet", "--input", f"image={photo}", "--attribute", "top=3",
                           "--output", f"index={index}")
        self.assertEqual([output["name"] for output in said["outputs"]], ["index", "score", "label"])
        self.assertEqual(numpy.load(index).tolist()[0], 286)
        self.assertEqual(said["outputs"][2]["dtype"], "string")
        self.assertIsNone(said["outputs"][2]["min"])


class Call(WithAgent):
    def test_attributes(self):
        said = self.object("call", "reference.fill", "--attribute", "bytes=10", "--attribute", "value=7")
        output, = said["outputs"]
        self.assertEqual((output["name"], output["dtype"], output["shape"]), ("data", "uint8", [10]))
        self.assertEqual((output["min"], output["max"], output["mean"]), (7, 7, 7.0))
        self.assertIsNone(said["model"])
        self.assertIn("no outputs", self.says("call", "reference.noop"))

    def test_failures_of_operators(self):
        fault = ("call", "reference.fault", "--attribute")
        self.fails(3, "NOT_FOUND", "no.such", "call", "no.such")
        self.fails(2, "INVALID_ARGUMENT", "microseconds", "call", "reference.delay", "--attribute", "microseconds=text")
        self.fails(2, "INVALID_ARGUMENT", "microseconds", "call", "reference.delay")
        self.fails(1, "INTERNAL", "it broke", *fault, "kind=error", "--attribute", "message=it broke")
        self.fails(6, "RESOURCE_EXHAUSTED", ".", "call", "reference.fill", "--attribute", f"bytes={1 << 40}")

    def test_worker_that_dies(self):
        self.fails(4, "UNAVAILABLE", "worker", "call", "reference.fault", "--attribute", "kind=abort")
        self.says("call", "reference.noop")

    def test_deadline_passes_in_a_call(self):
        began = time.monotonic()
        self.fails(5, "DEADLINE_EXCEEDED", "(?i)deadline", "call", "reference.delay", "--attribute", "microseconds=50000000",
                   "--deadline", "100ms")
        self.assertLess(time.monotonic() - began, 20)

    def test_socket_that_is_not_for_this_user(self):
        if not can_run_as_nobody():
            self.skipTest("needs root, to become somebody else")
        self.fails(7, "PERMISSION_DENIED", re.escape(self.endpoint), "info", user=NOBODY, group=NOBODY, extra_groups=[])

    def interrupted(self, running: subprocess.Popen) -> tuple[str, str]:
        running.send_signal(signal.SIGINT)
        said, complained = running.communicate(timeout=PATIENCE_SECONDS)
        self.assertEqual(running.returncode, 130, complained)
        return said, complained

    def start(self, *arguments) -> subprocess.Popen:
        return subprocess.Popen([BIN / "vaccel", "--endpoint", self.endpoint, *arguments], stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())

    def test_interrupt_cancels_the_call(self):
        running = self.start("call", "reference.delay", "--attribute", "microseconds=3600000000")
        noop = ("call", "reference.noop")
        while self.vaccel(*noop, "--deadline", "300ms").returncode != 5:  # the worker's one thread is not taken yet
            self.assertIsNone(running.poll())
        said, complained = self.interrupted(running)
        self.assertEqual((said, complained), ("", "vaccel: interrupted\n"))
        self.says(*noop)  # it is free again: an hour's delay would not have ended by itself

    def test_interrupt_ends_ping_with_its_statistics(self):
        running = self.start("ping", "--interval", "1m")
        first = running.stdout.readline()
        self.assertRegex(first, rf"^answer from {re.escape(self.endpoint)}: seq=1 time=\d+\.\d+ ms$")
        said, _ = self.interrupted(running)
        self.assertRegex(said, r"1 sent, 1 answered, 0% lost\nmin/avg/max ")


class Upload(WithAgent):
    def test_a_folder(self):
        folder = CATALOGUE / "mobilenet"
        size = sum(path.stat().st_size for path in folder.iterdir() if not path.name.startswith("."))
        said = self.object("upload", "cats", folder)
        self.addCleanup(self.vaccel, "delete", "cats")
        self.assertEqual(said, {"endpoint": self.endpoint, "model": "own/cats", "bytes": size, "sent_bytes": size})
        self.assertRegex(self.says("upload", "cats", folder), r"\Aown/cats is ready: \d+ bytes, of which 0 were sent\n\Z")
        self.assertIn("own/cats", [model["name"] for model in self.object("models")["models"]])
        self.assertEqual(self.object("models", "own/cats")["model"]["backend"], "onnxruntime")
        best = self.object("classify", "--model", "own/cats", "--top", "1", CAT)["classes"][0]
        self.assertEqual(best["label"], "Egyptian cat")
        self.assertEqual(self.object("delete", "own/cats"), {"endpoint": self.endpoint, "model": "own/cats", "deleted": True})
        self.fails(3, "NOT_FOUND", "own/cats", "classify", "--model", "own/cats", CAT)
        self.fails(3, "NOT_FOUND", "own/cats", "delete", "cats")

    def test_a_file_alone_can_be_run_on_tensors(self):
        said = self.says("upload", "plain-net", CATALOGUE / "mobilenet/model.onnx")
        self.addCleanup(self.vaccel, "delete", "plain-net")
        self.assertRegex(said, r"\Aown/plain-net is ready: \d+ bytes")
        self.assertEqual(self.object("models", "own/plain-net")["model"]["task"], "infer")

    def test_what_is_wrong_with_it_is_told(self):
        self.fails(2, "INVALID_ARGUMENT", r"ends in none of", "upload", "a", self.file("model.txt", b"x"))
        self.fails(3, "NOT_FOUND", r"model\.toml", "upload", "a", self.folder)
        self.fails(3, "NOT_FOUND", "nowhere", "upload", "a", self.folder / "nowhere.onnx")
        self.fails(2, "INVALID_ARGUMENT", "name", "upload", "A b", CATALOGUE / "mobilenet/model.onnx")
        done = self.vaccel("upload", "bad", self.file("model.onnx", b"this is no model"))
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stderr.decode(), "own/bad")
        self.fails(3, "NOT_FOUND", "own/bad", "delete", "bad")


class Describe(WithAgent):
    def test_models(self):
        said = self.object("models")
        self.assertEqual([model["name"] for model in said["models"]], sorted([*MODELS, *OTHERS]))
        facts = {model["name"]: model for model in said["models"]}
        self.assertEqual((facts["mobilenet"]["task"], facts["mobilenet"]["problem"]), ("classify", ""))
        self.assertEqual(facts["plain"]["task"], "infer")
        self.assertEqual({name: facts[name]["task"] for name in OTHERS}, OTHERS)
        self.assertEqual(facts["mobilenet"]["license"], "Apache-2.0")
        lines = self.says("models").splitlines()
        self.assertEqual(lines[0].split(), ["name", "task", "description", "state"])
        self.assertEqual(len(lines), 1 + len(MODELS) + len(OTHERS))

    def test_one_model(self):
        said = self.object("models", "mobilenet")["model"]
        self.assertEqual(said["backend"], "onnxruntime")
        self.assertEqual(said["inputs"], [{"name": "input", "dtype": "float32", "shape": [1, 3, 224, 224]}])
        self.assertEqual(said["outputs"][0]["shape"], [1, 1001])
        text = self.says("models", "mobilenet")
        self.assertRegex(text, r"(?m)^backend +onnxruntime$")
        self.assertRegex(text, r"(?m)^input  float32  \[1, 3, 224, 224\]$")

    def test_models_that_cannot_be_used(self):
        done = self.vaccel("models", "altered")
        self.assertEqual(done.returncode, 4)
        self.assertRegex(done.stderr.decode(), "altered.*SHA-256")
        self.assertRegex(self.says("models", "missing"), r"(?m)^state +unusable: .*model.onnx.*$")
        self.assertRegex(self.object("models", "missing")["model"]["problem"], "model.onnx")
        self.assertRegex(self.says("models"), r"(?m)^missing +.* unusable: .*model.onnx")
        self.says("models", "mobilenet")

    def test_unknown_model(self):
        self.fails(3, "NOT_FOUND", "nosuch", "models", "nosuch")
        done = self.vaccel("models", "\x1b[2J")
        self.assertEqual(done.returncode, 3)
        self.assertNotIn(b"\x1b", done.stderr)

    def test_info(self):
        said = self.object("info")
        self.assertEqual((said["endpoint"], said["transport"], said["workers"]), (self.endpoint, "unix", 1))
        self.assertRegex(said["agent"], r"^vacceld \d")
        self.assertGreaterEqual(said["protocol"], 1)
        self.assertGreater(said["limits"]["max_payload_bytes"], 1 << 20)
        self.assertGreater(said["limits"]["max_calls_in_flight"], 1)
        self.assertRegex(said["window"], r"^shared memory, \d+ MiB$")
        self.assertGreater(said["limits"]["window_bytes"], 1 << 20)
        backends = {backend["name"]: backend for backend in said["backends"]}
        self.assertEqual((backends["onnxruntime"]["problem"], backends["reference"]["problem"]), ("", ""))
        text = self.says("info")
        self.assertRegex(text, r"(?m)^payload +at most \d+ [KMG]iB a call$")
        self.assertRegex(text, r"(?m)^window +shared memory, \d+ MiB$")
        self.assertRegex(text, r"(?m)^onnxruntime +[\d.]+ +\S")

    def test_backends(self):
        said = self.object("backends")
        self.assertEqual(said["backends"], self.object("info")["backends"])
        lines = self.says("backends").splitlines()
        self.assertEqual(lines[0].split(), ["backend", "version", "devices"])
        self.assertEqual([line.split()[0] for line in lines[1:]], [backend["name"] for backend in said["backends"]])

    def test_operators(self):
        said = self.object("operators")["operators"]
        names = [one["name"] for one in said]
        self.assertEqual(names, sorted(names))
        self.assertLessEqual({*VISION, "infer", "gemm", "gemv", "axpy", "dot", "max", "vaccel.echo", "vaccel.discard",
                              "reference.fill"}, set(names))
        operators = {one["name"]: one for one in said}
        self.assertEqual([part["name"] for part in operators["reference.fill"]["attributes"]], ["bytes", "value"])
        self.assertEqual(operators["reference.fill"]["backends"], [{"name": "reference", "dtype": None, "score": None}])
        self.assertIn("onnxruntime", [backend["name"] for backend in operators["infer"]["backends"]])
        lines = self.says("operators").splitlines()
        self.assertEqual(lines[0].split(), ["name", "description", "backends"])
        self.assertEqual([line.split()[0] for line in lines[1:]], names)
        self.assertRegex("\n".join(lines), r"(?m)^infer  +Runs any model on tensors  +.*\bonnxruntime\b")

    def test_one_operator(self):
        said = self.object("operators", "gemm")["operator"]
        self.assertEqual([part["name"] for part in said["inputs"]], ["a", "b", "c"])
        offers = [(backend["name"], backend["score"]) for backend in said["backends"] if backend["dtype"] == "float64"]
        self.assertIn("reference", [name for name, _ in offers])
        self.assertEqual(offers, sorted(offers, key=lambda offer: -offer[1]))
        text = self.says("operators", "gemm")
        self.assertRegex(text, r"(?m)^description +c = alpha op\(a\) op\(b\) \+ beta c")
        self.assertRegex(text, r"(?m)^attribute +type$")
        self.assertRegex(text, r"(?m)^transpose_a +0 or 1 +")
        self.assertRegex(text, r"(?m)^float64 .*\breference \(\d+\)")
        self.fails(3, "NOT_FOUND", "no operator 'nosuch'.*vaccel operators", "operators", "nosuch")

    def test_info_of_a_local_session(self):
        done = run("--endpoint", f"local:{self.agent.config}", "info", "--json")
        said = json.loads(done.stdout)
        self.assertEqual((done.returncode, said["transport"], said["protocol"]), (0, "local", 0))
        self.assertRegex(said["agent"], r"^local \d")

    def test_ping(self):
        said = self.object("ping")
        self.assertEqual((said["sent"], said["received"], len(said["round_trips_us"])), (1, 1, 1))
        said = self.object("ping", "--count", "5", "--interval", "1ms")
        self.assertEqual((said["sent"], said["received"]), (5, 5))
        self.assertLessEqual(said["min_us"], said["avg_us"])
        self.assertLessEqual(said["avg_us"], said["max_us"])
        self.assertEqual(said["max_us"], max(said["round_trips_us"]))
        lines = self.says("ping", "--interval", "0").splitlines()
        self.assertEqual(len(lines), 7)
        self.assertEqual(lines[5], "4 sent, 4 answered, 0% lost")
        self.fails_pings()

    def fails_pings(self):
        done = self.vaccel("ping", "--deadline", "0", "--count", "2", "--interval", "0")
        self.assertEqual(done.returncode, 5)
        self.assertIn(b"2 sent, 0 answered, 100% lost", done.stdout)
        self.assertRegex(done.stderr.decode(), r"\Avaccel: .*(?i:deadline)")


class Documentation(unittest.TestCase):
    """Completion and manual page know what the help knows."""

    @staticmethod
    def options(*command: str) -> set[str]:
        return set(re.findall(r"(?m)^ +(?:-\w,)?(--[a-z-]+)", run(*command, "--help").stdout.decode()))

    def complete(self, *words: str) -> set[str]:
        """What bash offers for the last of these words."""
        script = f'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _vaccel; printf "%s\\n" "${{COMPREPLY[@]}}"'
        done = subprocess.run(["bash", "-c", f"compopt() {{ :; }}; {script}", "bash", SOURCES / "vaccel.bash-completion", *words],
                              capture_output=True, text=True, cwd=SOURCES)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return set(done.stdout.split())

    def test_completion_offers_every_command_and_option(self):
        self.assertEqual(self.complete("vaccel", ""), set(COMMANDS) | self.options())
        for command in COMMANDS:
            with self.subTest(command):
                self.assertEqual(self.complete("vaccel", command, "--"), self.options() | self.options(command))
                self.assertEqual(self.complete("vaccel", "--endpoint", "unix:/a", "--json", command, "--"),
                                 self.options() | self.options(command))
                self.assertEqual(self.complete("vaccel", command), {command})

    def test_completion_offers_files(self):
        for command in VISION:
            self.assertIn("vaccel.1", self.complete("vaccel", command, "vaccel."))
        self.assertIn("vaccel.1", self.complete("vaccel", "detect", "cat.jpg", "-o", "vaccel."))
        self.assertIn("vaccel.1", self.complete("vaccel", "infer", "net", "--input", "vaccel."))

    def test_manual_page_has_every_command_option_and_exit_code(self):
        page = (SOURCES / "vaccel.1").read_text().replace("\\-", "-")
        for word in set().union(*(self.options(command) for command in COMMANDS), self.options(), COMMANDS):
            self.assertRegex(page, rf"(?<![\w-]){re.escape(word)}(?![\w-])")
        said = run("--help").stdout.decode()
        codes = re.findall(r"(?m)^  (\d+) +(.*)$", said.split("Exit codes:")[1])
        self.assertEqual(len(codes), 11)
        for code, meaning in codes[:-1]:
            self.assertIn(f".TP\n{code}\n{meaning}\n", page)


if __name__ == "__main__":
    unittest.main()
