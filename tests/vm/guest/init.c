// SPDX-License-Identifier: Apache-2.0
//
// The first process of a test guest, and the guest's end of the line to the host.
//
// It mounts what programs expect, loads the kernel modules that /etc/vm-modules names, opens the
// virtio-serial port and then does what the host asks: run commands, feed their standard input, pass
// on their output and exit codes. Any number of commands run at once. It is one thread around one
// poll(); it trusts the host wholly and knows nothing of vAccel.
//
// A frame is a header of three little-endian u32 (kind, job, length of what follows) and at most
// 64 KiB. The host chooses the job numbers. The host's end is vaccel_vm/protocol.py.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
  kPayloadMax = 64 * 1024,
  kJobMax = 64,
  // The host keeps at most this many bytes of standard input unacknowledged for a job.
  kStdinWindow = 256 * 1024,
};

enum FrameKind {
  // host to guest
  kExec = 1,   // u32 argument count, u32 environment count, directory\0 arguments\0... environment\0...
  kStdin = 2,  // bytes; none at all means end of file
  kKill = 3,   // u32 signal, for the command and its process group
  // guest to host
  kHello = 65,       // uname's release\0 machine\0
  kStdout = 66,      // bytes
  kStderr = 67,      // bytes
  kStdinTaken = 68,  // u32: so many bytes of input reached the command, or it no longer reads
  kExit = 69,        // i32: exit code, or minus the signal that ended it; the job's last frame
};

struct Header {
  uint32_t kind, job, length;
};

struct Job {
  uint32_t id;
  pid_t pid;  // 0: this slot is free
  int in, out, err;
  int input_ended;
  size_t input_size;
  unsigned char input[kStdinWindow];
};

static int port = -1;
static struct Job jobs[kJobMax];

static void die(const char* what) {
  fprintf(stderr, "guest init: %s: %s\n", what, strerror(errno));
  sync();
  reboot(RB_POWER_OFF);
  _exit(1);
}

// --- frames ----------------------------------------------------------------------------------------

static void write_all(const void* data, size_t size) {
  const unsigned char* at = data;
  while (size > 0) {
    const ssize_t n = write(port, at, size);
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n <= 0) {
      die("writing to the host");
    }
    at += n;
    size -= (size_t)n;
  }
}

static void send_frame(enum FrameKind kind, uint32_t job, const void* payload, size_t length) {
  unsigned char frame[sizeof(struct Header) + kPayloadMax];
  const struct Header header = {kind, job, (uint32_t)length};
  memcpy(frame, &header, sizeof header);
  if (length > 0) {
    memcpy(frame + sizeof header, payload, length);
  }
  write_all(frame, sizeof header + length);
}

// --- jobs ------------------------------------------------------------------------------------------

static struct Job* find_job(uint32_t id) {
  for (struct Job* job = jobs; job < jobs + kJobMax; job++) {
    if (job->pid != 0 && job->id == id) {
      return job;
    }
  }
  return NULL;
}

static struct Job* free_slot(void) {
  for (struct Job* job = jobs; job < jobs + kJobMax; job++) {
    if (job->pid == 0) {
      return job;
    }
  }
  return NULL;
}

static void close_fd(int* fd) {
  if (*fd >= 0) {
    close(*fd);
  }
  *fd = -1;
}

// Tells the host why a command never ran, as a shell would: a sentence on its stderr and an exit code.
static void refuse(uint32_t id, const char* why, int32_t code) {
  char sentence[256];
  const int n = snprintf(sentence, sizeof sentence, "guest init: %s: %s\n", why, strerror(errno));
  send_frame(kStderr, id, sentence, (size_t)n);
  send_frame(kExit, id, &code, sizeof code);
}

static void become_command(char** argv, char** environment, const char* directory, const int fds[3]) {
  setsid();
  for (int fd = 0; fd < 3; fd++) {
    dup2(fds[fd], fd);
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  signal(SIGPIPE, SIG_DFL);
  if (chdir(directory) != 0) {
    dprintf(2, "guest init: cannot enter %s: %s\n", directory, strerror(errno));
    _exit(126);
  }
  extern char** environ;
  environ = environment;
  execvp(argv[0], argv);
  const int why = errno;
  dprintf(2, "guest init: cannot run %s: %s\n", argv[0], strerror(why));
  _exit(why == ENOENT ? 127 : 126);
}

// Cuts `count` strings ending in \0 off the front of a payload; NULL where there are fewer.
static char** take_strings(char** at, const char* end, uint32_t count) {
  char** strings = calloc((size_t)count + 1, sizeof *strings);
  for (uint32_t i = 0; strings != NULL && i < count; i++) {
    const size_t room = (size_t)(end - *at);
    const size_t length = strnlen(*at, room);
    if (length == room) {
      free(strings);
      return NULL;
    }
    strings[i] = *at;
    *at += length + 1;
  }
  return strings;
}

static void start_job(uint32_t id, char* payload, size_t length) {
  uint32_t counts[2] = {0, 0};
  if (length >= sizeof counts) {
    memcpy(counts, payload, sizeof counts);
  }
  char* at = payload + sizeof counts;
  const char* end = payload + length;
  char **directory = NULL, **argv = NULL, **environment = NULL;
  if (counts[0] > 0 && counts[0] <= kPayloadMax && counts[1] <= kPayloadMax) {
    directory = take_strings(&at, end, 1);
    argv = directory == NULL ? NULL : take_strings(&at, end, counts[0]);
    environment = argv == NULL ? NULL : take_strings(&at, end, counts[1]);
  }
  struct Job* job = free_slot();
  int in[2] = {-1, -1}, out[2] = {-1, -1}, err[2] = {-1, -1};
  if (environment == NULL) {
    errno = EBADMSG;
    refuse(id, "reading the request", 126);
  } else if (job == NULL) {
    errno = EAGAIN;
    refuse(id, "64 commands run already", 126);
  } else if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0 ||
             (job->pid = fork()) < 0) {
    refuse(id, "starting a command", 126);
    job->pid = 0;
    close_fd(&in[1]);
    close_fd(&out[0]);
    close_fd(&err[0]);
  } else if (job->pid == 0) {
    become_command(argv, environment, directory[0], (int[3]){in[0], out[1], err[1]});
  } else {
    job->id = id;
    job->in = in[1];
    job->out = out[0];
    job->err = err[0];
    job->input_ended = 0;
    job->input_size = 0;
    fcntl(job->in, F_SETFL, O_NONBLOCK);
    fcntl(job->out, F_SETFL, O_NONBLOCK);
    fcntl(job->err, F_SETFL, O_NONBLOCK);
  }
  close_fd(&in[0]);
  close_fd(&out[1]);
  close_fd(&err[1]);
  free(directory);
  free(argv);
  free(environment);
}

// Hands waiting input to the command, as much as its pipe takes now.
static void feed(struct Job* job) {
  if (job->in >= 0 && job->input_size > 0) {
    const ssize_t n = write(job->in, job->input, job->input_size);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
      return;
    }
    if (n < 0) {
      close_fd(&job->in);  // it no longer reads: the rest is dropped, as a shell's pipe would
    } else {
      job->input_size -= (size_t)n;
      memmove(job->input, job->input + n, job->input_size);
      const uint32_t taken = (uint32_t)n;
      send_frame(kStdinTaken, job->id, &taken, sizeof taken);
    }
  }
  if (job->in < 0 && job->input_size > 0) {
    const uint32_t dropped = (uint32_t)job->input_size;
    job->input_size = 0;
    send_frame(kStdinTaken, job->id, &dropped, sizeof dropped);
  }
  if (job->input_ended && job->input_size == 0) {
    close_fd(&job->in);
  }
}

static void take_input(struct Job* job, const char* data, size_t size) {
  if (size == 0) {
    job->input_ended = 1;
  } else if (size <= kStdinWindow - job->input_size) {
    memcpy(job->input + job->input_size, data, size);
    job->input_size += size;
  } else {
    errno = ENOBUFS;
    die("the host sent more input than its window allows");
  }
  feed(job);
}

// Passes on what the command wrote, one frame. Returns the bytes passed on, 0 when there are none now.
static size_t pass_on(struct Job* job, int* fd, enum FrameKind kind) {
  char data[kPayloadMax];
  const ssize_t n = *fd < 0 ? 0 : read(*fd, data, sizeof data);
  if (n > 0) {
    send_frame(kind, job->id, data, (size_t)n);
    return (size_t)n;
  }
  if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
    close_fd(fd);
  }
  return 0;
}

// Passes on what is left of an ended command's output: at most a full pipe, since a process that it
// left behind may go on writing for ever.
static void drain(struct Job* job, int* fd, enum FrameKind kind) {
  const int capacity = *fd < 0 ? 0 : fcntl(*fd, F_GETPIPE_SZ);
  for (size_t seen = 0, n = 1; n > 0 && seen < (size_t)(capacity > 0 ? capacity : 0); seen += n) {
    n = pass_on(job, fd, kind);
  }
}

static void reap(void) {
  int status = 0;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    for (struct Job* job = jobs; job < jobs + kJobMax; job++) {
      if (job->pid != pid) {
        continue;
      }
      drain(job, &job->out, kStdout);
      drain(job, &job->err, kStderr);
      const int32_t code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
      send_frame(kExit, job->id, &code, sizeof code);
      close_fd(&job->in);
      close_fd(&job->out);
      close_fd(&job->err);
      job->pid = 0;
    }
  }
}

// --- the host's requests ---------------------------------------------------------------------------

static void obey(const struct Header* header, char* payload) {
  struct Job* job = find_job(header->job);
  if (header->kind == kExec) {
    start_job(header->job, payload, header->length);
  } else if (header->kind == kStdin && job != NULL) {
    take_input(job, payload, header->length);
  } else if (header->kind == kKill && job != NULL && header->length == sizeof(uint32_t)) {
    uint32_t number = 0;
    memcpy(&number, payload, sizeof number);
    kill(-job->pid, (int)number);
  }  // input and signals for a command that has just ended are late, not wrong
}

// Reads what has come from the host and obeys each whole frame in it.
static void read_host(void) {
  static char buffer[2 * (sizeof(struct Header) + kPayloadMax)];
  static size_t filled;
  const ssize_t n = read(port, buffer + filled, sizeof buffer - filled);
  if (n < 0 && (errno == EINTR || errno == EAGAIN)) {
    return;
  }
  if (n <= 0) {
    die("the host is gone");
  }
  filled += (size_t)n;
  size_t at = 0;
  struct Header header;
  while (filled - at >= sizeof header) {
    memcpy(&header, buffer + at, sizeof header);
    if (header.length > kPayloadMax) {
      errno = EBADMSG;
      die("a frame from the host is too long");
    }
    if (filled - at < sizeof header + header.length) {
      break;
    }
    obey(&header, buffer + at + sizeof header);
    at += sizeof header + header.length;
  }
  filled -= at;
  memmove(buffer, buffer + at, filled);
}

static void serve(void) {
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  sigprocmask(SIG_BLOCK, &child, NULL);
  signal(SIGPIPE, SIG_IGN);
  const int children = signalfd(-1, &child, SFD_CLOEXEC);
  for (;;) {
    struct pollfd fds[2 + 3 * kJobMax];
    fds[0] = (struct pollfd){.fd = port, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = children, .events = POLLIN};
    for (int i = 0; i < kJobMax; i++) {  // poll() passes over descriptors below zero
      const struct Job* job = &jobs[i];
      const int live = job->pid != 0;
      struct pollfd* of_job = &fds[2 + 3 * i];
      of_job[0] = (struct pollfd){.fd = live && job->input_size > 0 ? job->in : -1, .events = POLLOUT};
      of_job[1] = (struct pollfd){.fd = live ? job->out : -1, .events = POLLIN};
      of_job[2] = (struct pollfd){.fd = live ? job->err : -1, .events = POLLIN};
    }
    if (poll(fds, sizeof fds / sizeof fds[0], -1) < 0) {
      continue;
    }
    for (int i = 0; i < kJobMax; i++) {
      const struct pollfd* of_job = &fds[2 + 3 * i];
      if (of_job[0].fd >= 0 && of_job[0].revents != 0) {
        feed(&jobs[i]);
      }
      if (of_job[1].fd >= 0 && of_job[1].revents != 0) {
        pass_on(&jobs[i], &jobs[i].out, kStdout);
      }
      if (of_job[2].fd >= 0 && of_job[2].revents != 0) {
        pass_on(&jobs[i], &jobs[i].err, kStderr);
      }
    }
    if (fds[1].revents != 0) {
      struct signalfd_siginfo info;
      if (read(children, &info, sizeof info) > 0) {
        reap();
      }
    }
    if (fds[0].revents != 0) {
      read_host();
    }
  }
}

// --- bringing the guest up -------------------------------------------------------------------------

static void mount_at(const char* type, const char* path) {
  mkdir(path, 0755);
  if (mount(type, path, type, MS_NOSUID, NULL) != 0) {
    die(path);
  }
}

static void load_modules(void) {
  FILE* list = fopen("/etc/vm-modules", "re");
  char path[512];
  while (list != NULL && fgets(path, sizeof path, list) != NULL) {
    path[strcspn(path, "\n")] = 0;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) != 0 && errno != EEXIST)) {
      fprintf(stderr, "guest init: loading %s: %s\n", path, strerror(errno));
    }
    close(fd);
  }
  if (list != NULL) {
    fclose(list);
  }
}

static void bring_up_loopback(void) {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
  if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) != 0) {
    fprintf(stderr, "guest init: bringing up lo: %s\n", strerror(errno));
  }
  close(fd);
}

// The driver makes the port's node some time after its module is loaded.
static void open_port(void) {
  const struct timespec pause = {.tv_nsec = 5 * 1000 * 1000};
  for (int tries = 0; tries < 4000; tries++) {
    port = open("/dev/vport0p1", O_RDWR | O_CLOEXEC);
    if (port >= 0) {
      return;
    }
    nanosleep(&pause, NULL);
  }
  die("opening the virtio-serial port /dev/vport0p1");
}

static void say_hello(void) {
  struct utsname name;
  uname(&name);
  char payload[sizeof name.release + sizeof name.machine];
  const int n = snprintf(payload, sizeof payload, "%s%c%s", name.release, 0, name.machine);
  send_frame(kHello, 0, payload, (size_t)n + 1);
}

int main(void) {
  umask(022);
  mount_at("proc", "/proc");
  mount_at("sysfs", "/sys");
  mount_at("devtmpfs", "/dev");
  mount_at("tmpfs", "/dev/shm");
  mount_at("tmpfs", "/tmp");
  mount_at("tmpfs", "/run");
  chmod("/tmp", 01777);
  chmod("/dev/shm", 01777);
  sethostname("guest", 5);
  load_modules();
  bring_up_loopback();
  open_port();
  say_hello();
  serve();
}
