# SPDX-License-Identifier: Apache-2.0
"""Is a guest put together rightly? Nothing boots here; the host's own files are the examples."""

import subprocess
import tempfile
import unittest
from pathlib import Path

from vaccel_vm import VmError, cpio, elf, initramfs, kernel, parts, testing


class Libraries(unittest.TestCase):
    def test_agree_with_the_loader(self):
        # /usr/bin/python3 needs a good many; the loader's own list is the truth.
        program = Path("/usr/bin/python3")
        listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
        names = {line.split()[0].rsplit("/", 1)[-1] for line in listed.splitlines()} - {"linux-vdso.so.1"}
        self.assertEqual({path.rsplit("/", 1)[-1] for path in elf.libraries(program)}, names)

    def test_static_program_needs_none(self):
        testing.need_parts("6.1")
        self.assertEqual(elf.libraries(testing.echo_program()), {})

    def test_beside_the_program_and_missing(self):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "part.c").write_text("int part(void) { return 0; }\n")
            (folder / "main.c").write_text("int part(void); int main(void) { return part(); }\n")
            build = ["cc", "part.c", "-shared", "-fPIC", "-o", "libpart.so"]
            subprocess.run(build, cwd=folder, check=True)
            build = ["cc", "main.c", "-L.", "-lpart", "-Wl,-rpath,$ORIGIN", "-o", "main"]
            subprocess.run(build, cwd=folder, check=True)
            self.assertEqual(elf.libraries(folder / "main")["/usr/lib/libpart.so"], folder / "libpart.so")
            (folder / "libpart.so").unlink()
            with self.assertRaisesRegex(VmError, "needs the library libpart.so"):
                elf.libraries(folder / "main")


class KernelTests:
    def setUp(self):
        testing.need_parts(self.series)
        self.kernel = parts.kernel(self.series)

    def test_modules_come_after_what_they_need(self):
        names = [name for name, _ in kernel.modules_in_order(self.kernel, ["virtio_pmem", "vsock_loopback"])]
        for first, then in (
            ("libnvdimm", "virtio_pmem"),
            ("nd_virtio", "virtio_pmem"),
            ("vsock", "vmw_vsock_virtio_transport_common"),
            ("vmw_vsock_virtio_transport_common", "vsock_loopback"),
        ):
            self.assertLess(names.index(first), names.index(then), names)
        self.assertEqual(len(names), len(set(names)))

    def test_modules_are_unpacked(self):
        for name, content in kernel.modules_in_order(self.kernel, ["vsock"]):
            self.assertTrue(elf.is_elf(content), name)

    def test_unknown_module(self):
        with self.assertRaisesRegex(VmError, f"kernel {self.series} has no module warp_drive"):
            kernel.modules_in_order(self.kernel, ["warp_drive"])

    def test_image_is_unpacked_once(self):
        first = kernel.unpacked_image(self.kernel)
        made = first.stat().st_mtime_ns
        self.assertTrue(elf.starts_by_pvh(first.read_bytes()))
        self.assertEqual(kernel.unpacked_image(self.kernel).stat().st_mtime_ns, made)

    def test_base_is_made_once_and_anew_for_other_modules(self):
        first = initramfs.base(self.kernel, ["vsock"])
        made = first.stat().st_mtime_ns
        self.assertEqual(initramfs.base(self.kernel, ["vsock"]), first)
        self.assertEqual(first.stat().st_mtime_ns, made)
        self.assertNotEqual(initramfs.base(self.kernel, ["libnvdimm"]), first)


class Kernel61(KernelTests, unittest.TestCase):
    series = "6.1"

    def test_built_in_modules_are_left_out(self):
        loaded = dict(kernel.modules_in_order(self.kernel, ["virtio_pci", "unix"]))
        self.assertIn("virtio_pci", loaded)
        self.assertNotIn("unix", loaded)


class Kernel612(KernelTests, unittest.TestCase):
    series = "6.12"

    def test_built_in_modules_are_left_out(self):
        self.assertEqual(kernel.modules_in_order(self.kernel, ["virtio_pci", "virtio_console"]), [])


class Archive(unittest.TestCase):
    def test_folders_come_before_what_is_in_them(self):
        data = cpio.archive([cpio.file("/a/b/c", b"text"), cpio.folder("/a-b"), cpio.link("/a/l", "b/c")])
        places = [data.index(name + b"\0") for name in (b"a", b"a/b", b"a/b/c")]
        self.assertEqual(places, sorted(places))
        self.assertEqual(len(data) % 4, 0)

    def test_equal_entries_give_equal_bytes(self):
        entries = [cpio.file("/x", b"1"), cpio.file("/y", b"2")]
        self.assertEqual(cpio.archive(entries), cpio.archive(entries[::-1]))

    def test_folder_goes_in_whole(self):
        with tempfile.TemporaryDirectory() as name:
            (Path(name) / "sub" / "empty").mkdir(parents=True)
            (Path(name) / "sub" / "file").write_text("x")
            data = initramfs.of_guest([(Path(name), "/data")])
        for path in (b"data/sub/empty\0", b"data/sub/file\0"):
            self.assertIn(path, data)

    def test_relative_guest_path(self):
        with self.assertRaisesRegex(VmError, "not an absolute path"):
            initramfs.of_guest([(Path(__file__), "here.py")])


if __name__ == "__main__":
    unittest.main()
