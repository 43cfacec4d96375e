/* SPDX-License-Identifier: Apache-2.0
 *
 * What count_allocations.c counts, in a file that the test maps too: for each process that has the library loaded, by
 * the name of its program, how often it asked for more than a page's worth of memory.
 */
#ifndef VACCEL_TESTS_ALLOCATION_COUNTS_H
#define VACCEL_TESTS_ALLOCATION_COUNTS_H

#include <stdint.h>

/* The environment variable with the file's name; it exists, with room for all of this. */
#define VACCEL_ALLOCATION_COUNTS "VACCEL_ALLOCATION_COUNTS"

enum { kLargeAllocation = 4096, kHugeAllocation = 65536, kCountedProcesses = 16, kCallers = 12 };

struct allocation_count {
  int32_t pid; /* 0: nobody's */
  char program[28];
  volatile uint64_t large; /* malloc() and its kin, for more than kLargeAllocation bytes */
  volatile uint64_t huge;  /* of these, for more than kHugeAllocation bytes: as large as payloads are */
  volatile uint64_t maps;  /* mmap() */
  /* Of the last one, to find who it was. */
  volatile uint64_t bytes;
  void* volatile callers[kCallers];
  char module[128]; /* of the first caller that is not the C or C++ library */
  volatile uint64_t module_offset;
};

#endif
