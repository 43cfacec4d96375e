# SPDX-License-Identifier: Apache-2.0
"""Small real archives for the tests: an npm registry on the loopback interface and a Debian archive in a folder."""

import hashlib
import io
import json
import subprocess
import tarfile
import threading
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from .apt_sources import own_codename
from .parts import own_architecture


def tarball(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz", compresslevel=1) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def with_mounts(script: str, command: list) -> list:
    """The command with the mounts of a shell script around it, which nobody else sees: tmpfs stands for full disks."""
    for unshare in (["unshare", "--mount", "--user", "--map-root-user"], ["unshare", "--mount"]):
        if subprocess.run([*unshare, "true"], stderr=subprocess.DEVNULL).returncode == 0:
            return [*unshare, "sh", "-ec", f'{script}; exec "$@"', "sh", *command]
    raise unittest.SkipTest("this user may not make a namespace for mounts here")


class NpmRegistry:
    """Serves one package in one version. `close` it: from then on nothing listens at its address."""

    def __init__(self, name: str, version: str, served: bytes):
        documents = {}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                content = documents.get(self.path)
                self.send_response(200 if content else 404)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                self.wfile.write(content or b"")

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}/"
        dist = {"tarball": f"{self.address}{name}.tgz", "shasum": hashlib.sha1(served).hexdigest()}
        documents[f"/{name}"] = json.dumps({"name": name, "dist-tags": {"latest": version}, "versions": {
            version: {"name": name, "version": version, "dist": dist}}}).encode()
        documents[f"/{name}.tgz"] = served
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def environment(self) -> dict[str, str]:
        return {"npm_config_registry": self.address, "npm_config_fetch_retries": "0", "npm_config_audit": "false",
                "npm_config_update_notifier": "false", "no_proxy": "127.0.0.1"}

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def make_debian_package(folder: Path, name: str, version: str, files: dict[str, bytes], depends: str = ""):
    tree = folder / f"tree-{name}"
    for path, content in files.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_bytes(content)
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN").chmod(0o755)
    (tree / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: {version}\nArchitecture: {own_architecture()}\n"
        f"Maintainer: Nobody <nobody@localhost>\nDescription: for a test\n"
        + (f"Depends: {depends}\n" if depends else ""))
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", "-Zxz", tree, folder], check=True, capture_output=True)


def publish(folder: Path, suite: str, etc_apt: Path):
    """Makes `folder`, which holds .deb files, an archive of `suite`, and `etc_apt` the settings of a machine that
    has it as the archive of its own suite."""
    indexes = folder / "dists" / suite / "main" / f"binary-{own_architecture()}"
    indexes.mkdir(parents=True)
    stanzas = []
    for package in sorted(folder.glob("*.deb")):
        control = subprocess.run(["dpkg-deb", "--field", package], check=True, capture_output=True, text=True).stdout
        content = package.read_bytes()
        stanzas.append(f"{control}Filename: {package.name}\nSize: {len(content)}\n"
                       f"SHA256: {hashlib.sha256(content).hexdigest()}\n")
    listing = "\n".join(stanzas).encode()
    (indexes / "Packages").write_bytes(listing)
    relative = (indexes / "Packages").relative_to(folder / "dists" / suite)
    (folder / "dists" / suite / "Release").write_text(
        f"Suite: {suite}\nCodename: {suite}\nComponents: main\nArchitectures: {own_architecture()}\n"
        f"SHA256:\n {hashlib.sha256(listing).hexdigest()} {len(listing)} {relative}\n")
    (etc_apt / "sources.list.d").mkdir(parents=True, exist_ok=True)
    (etc_apt / "sources.list").write_text(f"deb [trusted=yes] file:{folder} {own_codename()} main\n")
