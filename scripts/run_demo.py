# SPDX-License-Identifier: Apache-2.0
"""Classifies a photo through one call of vAccel's library, made in a VM, in a process beside the agent, or locally."""

import argparse
import json
import os
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from building import build
from fetch_parts.places import ROOT, build_folder, moved, parts_folder
from fetch_parts.report import SetupError
from kept_guest import KeptGuest
from running import Agent, stop_on_signals

KERNELS = ("6.1", "6.12")
VSOCK_PORT = 4411
STAGES = {"decode": "decode the photo", "prepare": "resize and normalise", "infer": "run the model",
          "postprocess": "pick the labels", "queue": "wait for a worker", "total": "the whole call"}


class Fault(Exception):
    """What keeps the demo from going on, in a sentence."""


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./demo", description=__doc__,
        epilog="The first run installs and fetches what is missing and builds; it takes some minutes.")
    parser.add_argument("--photo", type=Path, metavar="FILE", help="a PNG, JPEG or WebP file (a cat's photo)")
    parser.add_argument("--where", choices=("vm", "agent", "local"), default="vm",
                        help="the caller runs in a QEMU guest, in a process beside the agent, or does all by itself "
                             "(%(default)s)")
    parser.add_argument("--kernel", choices=KERNELS, default="6.1", help="the guest's Linux (%(default)s)")
    parser.add_argument("--keep", action="store_true",
                        help="leave the agent (and the guest) running, and say how to use and stop them")
    return parser.parse_args(arguments)


def prepare(options: argparse.Namespace):
    """Set-up, build and catalogue: as much of them as the place needs."""
    goal = "build" if options.where != "vm" else "demo" if options.kernel == "6.1" else "vm"
    if subprocess.run([ROOT / "scripts/setup", "--for", goal]).returncode != 0:
        raise Fault("the set-up failed, see above")
    build("release", "programs")  # all but the tests
    if subprocess.run([ROOT / "scripts/make-catalogue"]).returncode != 0:
        raise Fault("the catalogue could not be made, see above")


def check_photo(photo: Path) -> Path:
    photo = photo.absolute()
    if not photo.is_file():
        raise Fault(f"there is no photo {photo}")
    if not os.access(photo, os.R_OK):
        raise Fault(f"the photo {photo} cannot be read by this user")
    return photo


def make_run_folder() -> Path:
    """A private folder for the agent's sockets; short, since a socket's path has at most 107 characters."""
    folder = tempfile.mkdtemp(prefix="vaccel-demo-")
    if len(folder) > 70:
        os.rmdir(folder)
        folder = tempfile.mkdtemp(prefix="vaccel-demo-", dir="/tmp")
    return Path(folder)


def write_configuration(run: Path, where: str) -> Path:
    listen = [f"unix:{run}/agent.sock"]
    if where == "vm":
        # The guest's connections to CID 2 arrive here, as they do from Firecracker and Cloud Hypervisor.
        listen.append(f"hvsock:{run}/vsock.sock:{VSOCK_PORT}")
    path, catalogue = run / "vacceld.toml", str(moved("VACCEL_CATALOGUE", "catalogue"))
    path.write_text(f"listen = {json.dumps(listen)}\ncatalogue = {json.dumps(catalogue)}\n")
    return path


def program() -> str:
    return str(build_folder() / "bin/vaccel")


def classify(command: list[str]) -> dict:
    """Runs the program, wherever the command takes it, and returns what it printed."""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as running:
        try:
            printed, _ = running.communicate()
        except BaseException:
            running.terminate()  # run-in-vm takes its guest down with it
            running.wait()
            raise
    if running.returncode != 0:
        raise Fault(f"{' '.join(map(str, command))} failed with exit code {running.returncode}, see above")
    try:
        return json.loads(printed)
    except ValueError as error:
        raise Fault(f"the program printed something else than JSON: {printed!r}") from error


def classify_local(options, configuration: Path) -> tuple[dict, str]:
    result = classify([program(), "--endpoint", f"local:{configuration}", "--json", "classify", options.photo])
    return result, f"in the caller's own process ({platform.machine()})"


def classify_beside_agent(options, agent: Agent) -> tuple[dict, str]:
    result = classify([program(), "--endpoint", agent.endpoint, "--json", "classify", options.photo])
    return result, f"for a process ({platform.machine()}) over a unix socket"


def classify_in_vm(options, agent: Agent, guest: KeptGuest | None) -> tuple[dict, str]:
    facts, photo = agent.run / "guest.json", photo_in_guest(options)
    print(f"guest: boots Linux {options.kernel}", flush=True)
    if guest:
        problem = guest.wait_until_it_is_up()
        if problem:
            raise Fault(problem)
        runner = guest.command
    else:
        runner = [ROOT / "tests/vm/run-in-vm", "--kernel", options.kernel, "--vsock-uds", agent.run / "vsock.sock",
                  "--file", f"{options.photo}:{photo}", "--describe", facts, "--"]
    # The program in the guest is told nothing about the agent: it finds it.
    result = classify([*runner, "vaccel", "--json", "classify", photo])
    described = json.loads(facts.read_text())
    release = re.match(r"\d+\.\d+", described["kernel"]).group()
    print(f"guest: Linux {described['kernel']}, booted in {described['boot_seconds']:.1f} s "
          f"({described['accelerator']})")
    return result, f"for a QEMU guest (Linux {release}, {described['machine']}) over vsock"


def photo_in_guest(options) -> str:
    return f"/photo{options.photo.suffix}"


def show(result: dict):
    for place, found in enumerate(result["classes"][:5], 1):
        print(f"  {place}. {found['label']:<32} {found['score']:.4f}")
    for stage, meaning in STAGES.items():
        if f"{stage}_us" in result["timings"]:
            print(f"  {meaning:<24} {result['timings'][f'{stage}_us'] / 1000:10.2f} ms")


def tell_how_to_go_on(agent: Agent, guest: KeptGuest | None):
    """Leaves a script to ask the guest and one to stop everything, and names them."""
    processes = [kept.process.pid for kept in (guest, agent) if kept]
    write_script(agent.run / "stop", f"kill {' '.join(map(str, processes))}\nrm -rf {shlex.quote(str(agent.run))}")
    print(f"Left running: the agent (process {agent.process.pid}, log {agent.log})"
          + (f" and the guest (process {guest.process.pid})" if guest else "") + ".")
    print(f"  from here:      {program()} --endpoint {agent.endpoint} info")
    if guest:
        write_script(agent.run / "in-guest", f'exec {shlex.join(guest.command)} "$@"')
        print(f"  from the guest: {agent.run}/in-guest vaccel info")
    print(f"  stop:           {agent.run}/stop")


def write_script(path: Path, text: str):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o700)


def demonstrate(options, cleanup: ExitStack) -> tuple[dict, str]:
    """Whatever this starts is stopped by `cleanup`, unless it is to be kept and all went well."""
    run = make_run_folder()
    cleanup.callback(shutil.rmtree, run, ignore_errors=True)
    configuration = write_configuration(run, options.where)
    if options.where == "local":
        return classify_local(options, configuration)
    agent, guest = Agent(run, configuration, outlives_us=options.keep), None
    cleanup.callback(agent.stop)
    agent.wait_until_it_answers()
    print(f"agent: answers, {agent.started_in:.2f} s", flush=True)
    if options.where == "agent":
        answer = classify_beside_agent(options, agent)
    else:
        if options.keep:
            guest = KeptGuest(run, options.kernel, options.photo, photo_in_guest(options))
            cleanup.callback(guest.stop)
        answer = classify_in_vm(options, agent, guest)
    if options.keep:
        tell_how_to_go_on(agent, guest)
        cleanup.pop_all()
    return answer


def main() -> int:
    options, started = parse(sys.argv[1:]), time.monotonic()
    stop_on_signals(signal.SIGTERM, signal.SIGHUP)
    try:
        if options.photo:
            options.photo = check_photo(options.photo)
        prepare(options)
        options.photo = check_photo(options.photo or parts_folder() / "photos/chelsea.png")
        with ExitStack() as cleanup:
            result, where = demonstrate(options, cleanup)
        show(result)
        print(f"  {'this demo, from its start':<24} {time.monotonic() - started:7.2f} s")
        best = result["classes"][0]
        print(f"demo: {best['label']} {best['score']:.2f}, {where}")
    except (Fault, SetupError) as error:
        print(f"demo: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: interrupted, everything that it started is stopped", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
