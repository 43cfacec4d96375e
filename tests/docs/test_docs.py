# SPDX-License-Identifier: Apache-2.0
"""The commands and programs of the documentation, run as they stand there.

What moves: paths that would collide with another run (a socket in /tmp, build/first, build/boxes.png, ...) go to a folder of the
test's own.
"""

import json
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("VACCEL_TEST_BIN", ROOT / "build/bin"))
LIB = pathlib.Path(os.environ.get("VACCEL_TEST_LIB", ROOT / "build/lib"))
CATALOGUE = pathlib.Path(os.environ.get("VACCEL_TEST_CATALOGUE", ROOT / "build/catalogue"))
PARTS = pathlib.Path(os.environ.get("VACCEL_TEST_PARTS", ROOT / "build/parts"))
DRAWINGS = ("boxes.png", "mask.png", "skeleton.png", "depth.png")


def blocks(document: str, language: str) -> list[str]:
    text = (ROOT / document).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def block_with(document: str, language: str, words: str) -> str:
    found = [block for block in blocks(document, language) if words in block]
    if len(found) != 1:
        raise AssertionError(f"{document} has {len(found)} {language} blocks with '{words}', not 1")
    return found[0]


class Docs(unittest.TestCase):
    def setUp(self):
        if not (BIN / "vacceld").exists() or not (CATALOGUE / "mobilenet").exists():
            self.skipTest(f"no vacceld in {BIN}, or no model in {CATALOGUE}: run ./demo first")
        self.folder = tempfile.TemporaryDirectory(prefix="vaccel-docs-", dir="/tmp")
        self.addCleanup(self.folder.cleanup)
        self.path = pathlib.Path(self.folder.name)

    def here(self, commands: str) -> str:
        """The commands with the places of this build and this test."""
        commands = commands.replace("/tmp/vaccel.sock", str(self.path / "vaccel.sock"))
        for made in ("first", "buffer", "resident", *DRAWINGS):
            commands = commands.replace(f"build/{made}", str(self.path / made))
        places = {"bin": BIN, "lib": LIB, "catalogue": CATALOGUE, "parts": PARTS}
        return re.sub(r"(?:\$PWD/)?\bbuild/(bin|lib|catalogue|parts)\b", lambda place: str(places[place[1]]), commands)

    def run_shell(self, commands: str, **environment: str) -> str:
        """Runs commands as a person would, ending what they left in the background by its process id."""
        script = f"set -e\ntrap 'kill $(jobs -p) 2>/dev/null || :; wait || :' EXIT\n{commands}"
        done = subprocess.run(["bash", "-c", script], cwd=ROOT, env=os.environ | environment, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, check=False)
        self.assertEqual(done.returncode, 0, f"{commands}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def agent(self, extra: str = "") -> str:
        """Commands that start an agent on the documents' socket and wait until it answers."""
        socket = self.path / "vaccel.sock"
        return (f"{BIN}/vacceld --listen unix:{socket} --catalogue {CATALOGUE} {extra} &\n"
                f"for try in $(seq 100); do {BIN}/vaccel --endpoint unix:{socket} ping --count 1 >/dev/null 2>&1 && break; "
                "read -rt 0.1 <> <(:) || :; done\n")

    def test_readme_first_program_tells_the_cat(self):
        compile_line, start, run = self.here(block_with("README.md", "sh", "examples/first")).strip().splitlines()
        wait = self.agent().split("\n", 1)[1]
        self.assertIn("Egyptian cat", self.run_shell("\n".join([compile_line, start, wait, run])))

    def test_readme_buffer_is_not_copied(self):
        output = self.run_shell(self.agent() + self.here(block_with("README.md", "sh", "buffer/buffer.c")))
        self.assertRegex(output, r"^class \d+, 0\.\d\d; copied 0 bytes\n$")

    def test_readme_weights_stay(self):
        output = self.run_shell(self.agent() + self.here(block_with("README.md", "sh", "buffer/resident.c")))
        self.assertRegex(output, r"^100 products with 2048 KiB of weights in the memory of \w+( \w+)?; sum 15181650\n$")

    def test_readme_command_line(self):
        output = self.run_shell(self.agent() + self.here(block_with("README.md", "sh", "vaccel models")))
        self.assertIn("Egyptian cat", output)
        self.assertIn("mobilenet", output)
        self.assertIn("onnxruntime", output)

    def test_readme_a_model_of_your_own(self):
        config = self.path / "uploads.toml"
        config.write_text(f'[uploads]\ndirectory = "{self.path}/uploads"\n', encoding="utf-8")
        output = self.run_shell(self.agent(f"--config {config}") + self.here(block_with("README.md", "sh", "vaccel upload")))
        self.assertIn("own/mine is ready", output)
        self.assertIn("Egyptian cat", output)
        self.assertIn("own/mine is deleted", output)

    def test_readme_looks_at_pictures_and_draws(self):
        output = self.run_shell(self.agent() + self.here(block_with("README.md", "sh", "vaccel detect")))
        for words in ("Egyptian cat", "espresso", "cup", "nose", "metric, metres"):
            self.assertIn(words, output)
        self.assertRegex(output, r"(?m)^[6-9]\d\.\d\d %  cat ")
        for drawing in DRAWINGS:
            self.assertTrue((self.path / drawing).read_bytes().startswith(b"\x89PNG"), drawing)

    def test_readme_snippet_is_of_the_real_api(self):
        snippets = "\n".join(blocks("README.md", "c"))
        program = ('#include <stdio.h>\n#include <vaccel/vaccel.h>\nint main(void) { const char* image = ""; '
                   "size_t size = 0, bytes = 1;\n" + snippets + "\nreturn 0; }\n")
        source = self.path / "snippet.c"
        source.write_text(program, encoding="utf-8")
        self.run_shell(f"cc -w -fsyntax-only -I include {source}")

    def test_operations_commands_look_at_an_agent(self):
        commands = block_with("docs/operations.md", "sh", "/run/vaccel/agent.sock info")
        commands = commands.replace("/run/vaccel/agent.sock", str(self.path / "vaccel.sock"))
        commands = re.sub(r"^vaccel ", f"{BIN}/vaccel ", commands, flags=re.MULTILINE)
        output = self.run_shell(self.agent() + commands)
        self.assertIn("mobilenet", output)

    def test_operations_commands_attach_a_vm(self):
        commands = block_with("docs/operations.md", "sh", "vaccelctl window create")
        commands = commands.replace("/dev/shm", str(self.path)).replace("/run/vm1", str(self.path))
        control = self.path / "control.sock"
        commands = re.sub(r"^vaccelctl ", f"{BIN}/vaccelctl --control {control} ", commands, flags=re.MULTILINE)
        output = self.run_shell(self.agent(f"--control {control}") + commands.replace("512M", "16M"))
        self.assertIn(f"mem-path={self.path}/vm1.window", output)
        self.assertRegex(output, r"vm1 .*hvsock:.*v\.sock:4411")
        self.assertIn("windows   1", output)

    def test_operations_commands_tell_how_an_agent_is(self):
        commands = block_with("docs/operations.md", "sh", "vaccelctl top")
        control = self.path / "control.sock"
        commands = re.sub(r"^vaccelctl ", f"{BIN}/vaccelctl --control {control} ", commands, flags=re.MULTILINE)
        output = self.run_shell(self.agent(f"--control {control}") + commands)
        status, _, top = output.partition("\n")
        self.assertIn("mobilenet", [model["name"] for model in json.loads(status)["models"]])
        self.assertRegex(top, r"(?m)^mobilenet +not loaded ")

    def test_operations_commands_change_tenants(self):
        commands = block_with("docs/operations.md", "sh", "vaccelctl tenant set")
        control = self.path / "control.sock"
        commands = re.sub(r"^vaccelctl ", f"{BIN}/vaccelctl --control {control} ", commands, flags=re.MULTILINE)
        output = self.run_shell(self.agent(f"--control {control}") + commands)
        self.assertIn("Tenant 'acme' is set.", output)
        self.assertIn("weight = 4\n", output)
        self.assertIn('models = ["mobilenet", "ssd-*"]\n', output)
        self.assertIn("The configuration was read again.", output)

    def test_operations_shows_a_pattern_as_the_configuration_takes_it(self):
        text = block_with("docs/operations.md", "toml", "[[watch]]")
        config = self.path / "vaccel.toml"
        config.write_text(text, encoding="utf-8")
        self.assertIn("configuration is fine", self.run_shell(f"{BIN}/vacceld --config {config} --check"))

    def test_operations_shows_a_vm_as_the_configuration_takes_it(self):
        text = block_with("docs/operations.md", "toml", "[[vm]]")
        config = self.path / "vaccel.toml"
        config.write_text(text, encoding="utf-8")
        self.assertIn("1 VMs", self.run_shell(f"{BIN}/vacceld --config {config} --check"))

    def test_deployed_configuration_is_accepted(self):
        text = (ROOT / "deploy/vaccel.toml").read_text(encoding="utf-8")
        config = self.path / "vaccel.toml"
        config.write_text(text.replace("/var/lib/vaccel/catalogue", str(CATALOGUE)), encoding="utf-8")
        self.assertIn("configuration is fine", self.run_shell(f"{BIN}/vacceld --config {config} --check"))
        for line in re.findall(r"^# (?=\[|directory|load|library|threads|providers)(.*)$", text, re.MULTILINE):
            self.assertIn(line.split(" ")[0].strip("[]").split(".")[0].split("=")[0],
                          ["vm", "tenant", "model", "watch", "backends", "directory", "load", "backend", "library", "threads", "providers"])

    def test_backends_page_shows_the_example_and_it_works(self):
        listing = block_with("docs/backends.md", "c", "vaccel_backend_entry")
        example = (ROOT / "examples/backend/sum.c").read_text(encoding="utf-8")
        self.assertTrue(example.endswith(listing), "docs/backends.md and examples/backend/sum.c differ")
        self.assertLess(len(listing.splitlines()), 100)
        compile_line = block_with("docs/backends.md", "sh", "backend/sum.c").strip()
        backends = self.path / "backends"
        backends.mkdir()
        self.run_shell(compile_line.replace("-o libvaccel", f"-o {backends}/libvaccel"))
        config = self.path / "local.toml"
        config.write_text(f'[backends]\ndirectory = "{backends}"\n', encoding="utf-8")
        tensor = self.path / "x.npy"
        header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }"
        header += b" " * (63 - (10 + len(header)) % 64) + b"\n"
        tensor.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header +
                           bytes.fromhex("0000803f0000004000006040"))  # 1, 2, 3.5
        output = self.run_shell(f"{BIN}/vaccel --json --endpoint local:{config} call example.sum --input {tensor} "
                                f"--output sum={self.path}/sum.npy")
        self.assertIn("sum", output)
        self.assertTrue((self.path / "sum.npy").read_bytes().endswith(bytes.fromhex("0000d040")))  # 6.5
        self.assertIn("example-sum", self.run_shell(f"{BIN}/vaccel --endpoint local:{config} info"))

    def test_backends_page_calls_an_installed_function(self):
        (self.path / "upper.c").write_text(block_with("docs/backends.md", "c", "toupper"), encoding="utf-8")
        backends = self.path / "backends"
        backends.mkdir()
        commands = block_with("docs/backends.md", "sh", "exec.c")
        commands = commands.replace("/tmp/upper.so", str(self.path / "upper.so")).replace("upper.c\n", f"{self.path}/upper.c\n")
        self.run_shell(commands.replace("-o libvaccel", f"-o {backends}/libvaccel"))
        directory = f'[backends]\ndirectory = "{backends}"\n'
        off = self.path / "off.toml"
        off.write_text(directory, encoding="utf-8")
        self.assertIn("no [backend.exec.functions] are configured", self.run_shell(f"{BIN}/vaccel --endpoint local:{off} info"))
        on = self.path / "on.toml"
        functions = block_with("docs/backends.md", "toml", "[backend.exec.functions]").replace("/tmp/", f"{self.path}/")
        on.write_text(directory + functions, encoding="utf-8")
        text = self.path / "text.npy"
        header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (5,), }"
        header += b" " * (63 - (10 + len(header)) % 64) + b"\n"
        text.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + b"hello")
        vaccel = f"{BIN}/vaccel --endpoint local:{on}"
        self.run_shell(f"{vaccel} call exec.call --attribute function=upper --input {text} --output output={self.path}/out.npy")
        self.assertTrue((self.path / "out.npy").read_bytes().endswith(b"HELLO"))
        unknown = self.run_shell(f"{vaccel} call exec.call --attribute function=lower --input {text} 2>&1 || echo failed with $?")
        self.assertIn("there is no function lower", unknown)

    def test_backends_page_multiplies_matrices(self):
        if subprocess.run(["/usr/bin/python3", "-c", "import numpy"], check=False, capture_output=True).returncode != 0:
            self.skipTest("/usr/bin/python3 has no NumPy")
        command = self.here(block_with("docs/backends.md", "sh", "call gemm"))
        for name in "abc":
            command = command.replace(f"{name}={name}.npy", f"{name}={self.path}/{name}.npy")
        numpy = "/usr/bin/python3 -c 'import numpy; {}'\n"
        write = numpy.format("; ".join(f'numpy.save("{self.path}/{name}.npy", numpy.full((3, 3), 2.0))' for name in "ab"))
        read = numpy.format(f'print(numpy.load("{self.path}/c.npy")[2])')
        self.assertTrue(self.run_shell(self.agent() + write + command + read).endswith("[24. 24. 24.]\n"))

    def test_blas_page_multiplies_matrices(self):
        if subprocess.run(["/usr/bin/python3", "-c", "import numpy"], check=False, capture_output=True).returncode != 0:
            self.skipTest("/usr/bin/python3 has no NumPy")
        command = self.here(block_with("docs/blas.md", "sh", "LD_PRELOAD")).rstrip()
        said = self.run_shell(self.agent() + command + " 2>&1\n", VACCEL_ENDPOINT=f"unix:{self.path}/vaccel.sock")
        self.assertIn("1000.0\nlibvaccel-blas: 1 products on the host (unix:", said)

    def test_links_lead_somewhere(self):
        for document in [ROOT / "README.md", ROOT / "SPECIFICATION.md", ROOT / "src/README.md",
                         *sorted((ROOT / "docs").glob("*.md"))]:
            for link in re.findall(r"\]\(([^)#:]+)\)", document.read_text(encoding="utf-8")):
                self.assertTrue((document.parent / link).exists(), f"{document.name}: {link}")


if __name__ == "__main__":
    unittest.main()
