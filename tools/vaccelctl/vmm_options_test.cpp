// SPDX-License-Identifier: Apache-2.0
#include "tools/vaccelctl/vmm_options.h"

#include <gtest/gtest.h>

namespace vaccel::ctl {
namespace {

TEST(VmmOptions, AreWhatEachTakes) {
  const VmmOptions options = vmm_options("/dev/shm/w", 4 << 20);
  EXPECT_EQ(shell_line(options.qemu),
            "-object memory-backend-file,id=vaccel,share=on,mem-path=/dev/shm/w,size=4194304 "
            "-device virtio-pmem-pci,memdev=vaccel");
  EXPECT_EQ(shell_line(options.cloud_hypervisor), "--pmem file=/dev/shm/w");
  EXPECT_EQ(options.firecracker_resource, "/pmem/vaccel");
  EXPECT_EQ(options.firecracker_body,
            R"({"id":"vaccel","path_on_host":"/dev/shm/w","root_device":false,"read_only":false})");
}

TEST(VmmOptions, OddPathsStayWhole) {
  const VmmOptions options = vmm_options("/a b,c", 4 << 20);
  EXPECT_EQ(
      shell_line(options.qemu).find("'memory-backend-file,id=vaccel,share=on,mem-path=/a b,,c,size=4194304'"),
      8u);
  EXPECT_EQ(shell_line({"it's", ""}), "'it'\\''s' ''");
}

}  // namespace
}  // namespace vaccel::ctl
