// SPDX-License-Identifier: Apache-2.0
//
// Reads or writes the memory of a dax device, which takes no read() and no write():
//   dax_memory read DEVICE OFFSET BYTES     to standard output
//   dax_memory write DEVICE OFFSET          from standard input

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { kAlignment = 2 << 20 };

static void die(const char* what) {
  perror(what);
  exit(1);
}

int main(int argc, char** argv) {
  const int reads = argc == 5 && strcmp(argv[1], "read") == 0;
  const int writes = argc == 4 && strcmp(argv[1], "write") == 0;
  if (!reads && !writes) {
    fprintf(stderr, "usage: dax_memory read DEVICE OFFSET BYTES | dax_memory write DEVICE OFFSET\n");
    return 2;
  }
  const size_t offset = strtoull(argv[3], NULL, 0);
  static unsigned char input[1 << 20];
  const size_t bytes = reads ? strtoull(argv[4], NULL, 0) : fread(input, 1, sizeof input, stdin);

  const int device = open(argv[2], O_RDWR | O_CLOEXEC);
  if (device < 0) {
    die(argv[2]);
  }
  // What is not within a whole aligned stretch of the device, it does not map.
  const size_t length = (offset + bytes + kAlignment - 1) / kAlignment * kAlignment;
  unsigned char* memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, device, 0);
  if (memory == MAP_FAILED) {
    die("mapping it");
  }
  if (writes) {
    memcpy(memory + offset, input, bytes);
  } else if (fwrite(memory + offset, 1, bytes, stdout) != bytes || fflush(stdout) != 0) {
    die("writing");
  }
  return 0;
}
