/* SPDX-License-Identifier: Apache-2.0
 *
 * Preloaded into the agent and its workers, this counts large allocations: see allocation_counts.h. operator new comes
 * down to these functions as well. What the C library maps for itself to serve them is counted once, as what it serves.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "allocation_counts.h"

void* __libc_malloc(size_t bytes);
void* __libc_calloc(size_t count, size_t bytes);
void* __libc_realloc(void* memory, size_t bytes);
void* __libc_memalign(size_t alignment, size_t bytes);

static struct allocation_count* mine;
static __thread int within; /* looking for the caller may allocate */

static void* map(void* address, size_t bytes, int protection, int flags, int fd, off_t offset) {
  return (void*)syscall(SYS_mmap, address, bytes, protection, flags, fd, offset);
}

static void note_caller(size_t bytes) {
  mine->bytes = bytes;
  void* callers[kCallers + 2];
  const int count = backtrace(callers, kCallers + 2);
  int named = 0;
  for (int index = 0; index < count - 2; ++index) {
    mine->callers[index] = callers[index + 2];
    Dl_info info;
    if (named || dladdr(callers[index + 2], &info) == 0 ||
        strstr(info.dli_fname, "libcount_allocations") != NULL || strstr(info.dli_fname, "libc.so") != NULL ||
        strstr(info.dli_fname, "libstdc++") != NULL)
      continue;
    named = 1;
    strncpy(mine->module, info.dli_fname, sizeof mine->module - 1);
    mine->module_offset = (uint64_t)((char*)callers[index + 2] - (char*)info.dli_fbase);
  }
}

static void count(volatile uint64_t* counter, size_t bytes) {
  if (mine == NULL || within) return;
  within = 1;
  __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
  note_caller(bytes);
  within = 0;
}

static void count_large(size_t bytes) {
  if (bytes <= kLargeAllocation || mine == NULL) return;
  count(&mine->large, bytes);
  if (bytes > kHugeAllocation && !within) __atomic_fetch_add(&mine->huge, 1, __ATOMIC_RELAXED);
}

__attribute__((constructor)) static void begin(void) {
  const char* path = getenv(VACCEL_ALLOCATION_COUNTS);
  const int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
  if (fd < 0) return;
  struct allocation_count* all =
      map(NULL, kCountedProcesses * sizeof *all, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (all == MAP_FAILED) return;
  void* first[4];
  (void)backtrace(first, 4); /* loads what it needs */
  for (int index = 0; index < kCountedProcesses && mine == NULL; ++index) {
    int32_t nobody = 0;
    if (!__atomic_compare_exchange_n(&all[index].pid, &nobody, getpid(), 0, __ATOMIC_SEQ_CST,
                                     __ATOMIC_SEQ_CST))
      continue;
    strncpy(all[index].program, program_invocation_short_name, sizeof all[index].program - 1);
    mine = &all[index];
  }
}

__attribute__((visibility("default"))) void* malloc(size_t bytes) {
  count_large(bytes);
  return __libc_malloc(bytes);
}

__attribute__((visibility("default"))) void* calloc(size_t count, size_t bytes) {
  count_large(bytes != 0 && count > SIZE_MAX / bytes ? SIZE_MAX : count * bytes);
  return __libc_calloc(count, bytes);
}

__attribute__((visibility("default"))) void* realloc(void* memory, size_t bytes) {
  count_large(bytes);
  return __libc_realloc(memory, bytes);
}

__attribute__((visibility("default"))) void* memalign(size_t alignment, size_t bytes) {
  count_large(bytes);
  return __libc_memalign(alignment, bytes);
}

__attribute__((visibility("default"))) void* aligned_alloc(size_t alignment, size_t bytes) {
  count_large(bytes);
  return __libc_memalign(alignment, bytes);
}

__attribute__((visibility("default"))) int posix_memalign(void** memory, size_t alignment, size_t bytes) {
  count_large(bytes);
  void* const made = __libc_memalign(alignment, bytes);
  if (made == NULL) return ENOMEM;
  *memory = made;
  return 0;
}

__attribute__((visibility("default"))) void* mmap(void* address, size_t bytes, int protection, int flags,
                                                  int fd, off_t offset) {
  if (mine != NULL) count(&mine->maps, bytes);
  return map(address, bytes, protection, flags, fd, offset);
}

__attribute__((visibility("default"))) void* mmap64(void* address, size_t bytes, int protection, int flags,
                                                    int fd, off_t offset) {
  return mmap(address, bytes, protection, flags, fd, offset);
}
