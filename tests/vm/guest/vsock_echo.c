// SPDX-License-Identifier: Apache-2.0
//
// Sends messages over vsock and checks that they come back; or sends back what it is sent.
//
//     vsock_echo call CID PORT SIZE COUNT    prints "echoed COUNT messages of SIZE bytes"
//     vsock_echo serve PORT                  prints "listening", serves one connection, then ends
//
// A message is a little-endian u32 length and so many bytes. It is written in pieces of at most 28 KB: larger
// ones wedge vhost-device-vsock 0.3.0 under guest kernel 6.12.

#define _GNU_SOURCE
#include <errno.h>
#include <linux/vm_sockets.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { kPieceMax = 28 * 1024, kMessageMax = 16 * 1024 * 1024 };

static void fail(const char* what) {
  fprintf(stderr, "vsock_echo: %s: %s\n", what, errno != 0 ? strerror(errno) : "the other end has hung up");
  exit(1);
}

static void write_all(int fd, const unsigned char* data, size_t size) {
  while (size > 0) {
    const ssize_t n = write(fd, data, size < kPieceMax ? size : kPieceMax);
    if (n <= 0) {
      fail("writing");
    }
    data += n;
    size -= (size_t)n;
  }
}

// Returns 0 when the other end hung up before the first byte.
static int read_all(int fd, unsigned char* data, size_t size) {
  for (size_t got = 0; got < size;) {
    errno = 0;
    const ssize_t n = read(fd, data + got, size - got);
    if (n == 0 && got == 0) {
      return 0;
    }
    if (n <= 0) {
      fail("reading");
    }
    got += (size_t)n;
  }
  return 1;
}

static unsigned char* allocate(size_t size) {
  unsigned char* memory = malloc(size);
  if (memory == NULL) {
    fail("allocating a message");
  }
  return memory;
}

static struct sockaddr_vm address(unsigned cid, unsigned port) {
  return (struct sockaddr_vm){.svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port};
}

static void call(unsigned cid, unsigned port, uint32_t size, unsigned long count) {
  const int fd = socket(AF_VSOCK, SOCK_STREAM, 0);
  const struct sockaddr_vm to = address(cid, port);
  if (fd < 0 || connect(fd, (const struct sockaddr*)&to, sizeof to) != 0) {
    fail("connecting");
  }
  unsigned char *sent = allocate(sizeof size + size), *back = allocate(sizeof size + size);
  memcpy(sent, &size, sizeof size);
  for (unsigned long message = 0; message < count; message++) {
    for (uint32_t i = 0; i < size; i++) {
      sent[sizeof size + i] = (unsigned char)(message + i + (i >> 8));
    }
    write_all(fd, sent, sizeof size + size);
    if (!read_all(fd, back, sizeof size + size)) {
      fail("waiting for the echo");
    }
    if (memcmp(sent, back, sizeof size + size) != 0) {
      fprintf(stderr, "vsock_echo: message %lu came back changed\n", message);
      exit(1);
    }
  }
  printf("echoed %lu messages of %u bytes\n", count, size);
}

static void serve(unsigned port) {
  const int listener = socket(AF_VSOCK, SOCK_STREAM, 0);
  const struct sockaddr_vm at = address(VMADDR_CID_ANY, port);
  if (listener < 0 || bind(listener, (const struct sockaddr*)&at, sizeof at) != 0 ||
      listen(listener, 1) != 0) {
    fail("listening");
  }
  puts("listening");
  fflush(stdout);
  const int fd = accept(listener, NULL, NULL);
  if (fd < 0) {
    fail("accepting");
  }
  unsigned char* message = allocate(sizeof(uint32_t) + kMessageMax);
  uint32_t size = 0;
  while (read_all(fd, (unsigned char*)&size, sizeof size)) {
    memcpy(message, &size, sizeof size);
    if (size > kMessageMax || (size > 0 && !read_all(fd, message + sizeof size, size))) {
      fail("reading a message");
    }
    write_all(fd, message, sizeof size + size);
  }
}

static unsigned long number(const char* text) {
  return strtoul(text, NULL, 10);
}

int main(int argc, char** argv) {
  if (argc == 6 && strcmp(argv[1], "call") == 0) {
    call((unsigned)number(argv[2]), (unsigned)number(argv[3]), (uint32_t)number(argv[4]), number(argv[5]));
  } else if (argc == 3 && strcmp(argv[1], "serve") == 0) {
    serve((unsigned)number(argv[2]));
  } else {
    fprintf(stderr, "usage: vsock_echo call CID PORT SIZE COUNT | vsock_echo serve PORT\n");
    return 2;
  }
  return 0;
}
