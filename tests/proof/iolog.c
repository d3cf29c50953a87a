/* Counts, records and sabotages the file I/O of the process it is preloaded into (LD_PRELOAD).
 *
 * It does nothing until `iolog_watch` names a folder: then every operation on a file in it (SQLite's shared-memory
 * index apart, which is no storage) has a kind, and a number among those of its kind:
 *     o open   r read   w write   s sync   t truncate   u unlink
 * `iolog_fail` chooses one operation and what becomes of it: an errno (> 0), or one of
 *     -1 SIGKILL before it   -2 SIGKILL in the middle (of a write)   -3 SIGKILL after it
 *     -4 a write that is cut short, and finds the disk full when it goes on
 * With a log, every change is appended to it as a record `kind, file, offset, length of data, data`, in the one order
 * in which the changes happened. A failed sync is recorded as `S`, a note of the program as `n`. Syncs are only
 * recorded, never carried out: the files live in memory, and what a sync means is for the reader of the log to say.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

enum { DESCRIPTORS = 4096, FILES = 256, PATH = 512 };
enum { KILL_BEFORE = -1, KILL_MIDDLE = -2, KILL_AFTER = -3, CUT_SHORT = -4 };

static int file_of[DESCRIPTORS]; /* descriptor -> number of the watched file, 0 for any other */
static char names[FILES][PATH];
static int name_count = 1, log_fd = -1, fired;
static char folder[PATH];
static long counts[128], wanted_number;
static char wanted_kind;
static int wanted_fate;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int (*real_open)(const char *, int, ...), (*real_close)(int), (*real_unlink)(const char *);
static int (*real_truncate)(int, off64_t);
static ssize_t (*real_write)(int, const void *, size_t), (*real_pwrite)(int, const void *, size_t, off64_t);
static ssize_t (*real_read)(int, void *, size_t), (*real_pread)(int, void *, size_t, off64_t);
static int (*real_fsync)(int), (*real_fdatasync)(int);

__attribute__((constructor)) static void find_the_real_ones(void) {
  real_open = dlsym(RTLD_NEXT, "open64");
  real_close = dlsym(RTLD_NEXT, "close");
  real_unlink = dlsym(RTLD_NEXT, "unlink");
  real_truncate = dlsym(RTLD_NEXT, "ftruncate64");
  real_write = dlsym(RTLD_NEXT, "write");
  real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
  real_read = dlsym(RTLD_NEXT, "read");
  real_pread = dlsym(RTLD_NEXT, "pread64");
  real_fsync = dlsym(RTLD_NEXT, "fsync");
  real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
}

static void record(char kind, int file, uint64_t offset, const void *data, uint32_t length) {
  if (log_fd < 0) return;
  static char *buffer;
  static size_t capacity;
  uint32_t head[2] = {(uint32_t)kind, (uint32_t)file};
  size_t size = 20 + (size_t)length;
  if (size > capacity) buffer = realloc(buffer, capacity = 2 * size);
  memcpy(buffer, head, 8);
  memcpy(buffer + 8, &offset, 8);
  memcpy(buffer + 16, &length, 4);
  if (length) memcpy(buffer + 20, data, length);
  if (real_write(log_fd, buffer, size) != (ssize_t)size) abort();
}

static int watched(const char *path) {
  return folder[0] && path && !strncmp(path, folder, strlen(folder)) && !strstr(path, "-shm");
}

static int file_at(int descriptor) {
  return descriptor >= 0 && descriptor < DESCRIPTORS ? file_of[descriptor] : 0;
}

static int file_named(const char *path) {
  for (int i = 1; i < name_count; i++)
    if (!strcmp(names[i], path)) return i;
  if (name_count >= FILES) abort();
  strncpy(names[name_count], path, PATH - 1);
  return name_count++;
}

static void die(void) {
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

/* What becomes of the next operation of this kind; 0 when nothing is to be done to it. */
static int fate(char kind) {
  counts[(int)kind]++;
  if (fired == 1 && wanted_fate == CUT_SHORT && kind == 'w') {
    fired = 2;
    return ENOSPC;
  }
  if (fired || kind != wanted_kind || counts[(int)kind] != wanted_number) return 0;
  fired = 1;
  if (wanted_fate == KILL_BEFORE) die();
  return wanted_fate;
}

/* ── for the program ── */

void iolog_watch(const char *path, const char *log) {
  pthread_mutex_lock(&lock);
  strncpy(folder, path, PATH - 1);
  log_fd = log ? real_open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
  pthread_mutex_unlock(&lock);
}

void iolog_fail(char kind, long number, int what) {
  wanted_kind = kind;
  wanted_number = number;
  wanted_fate = what;
}

void iolog_note(const char *text, uint32_t length) {
  pthread_mutex_lock(&lock);
  record('n', 0, 0, text, length);
  pthread_mutex_unlock(&lock);
}

long iolog_count(char kind) { return counts[(int)kind]; }

int iolog_fired(void) { return fired; }

/* ── instead of the C library's own ── */

static int open_watched(const char *path, int flags, mode_t mode) {
  if (!watched(path)) {
    int other = real_open(path, flags, mode);
    if (other >= 0 && other < DESCRIPTORS) file_of[other] = 0;
    return other;
  }
  pthread_mutex_lock(&lock);
  struct stat found;
  int existed = stat(path, &found) == 0, what = fate('o'), descriptor = -1;
  if (what <= 0) {
    descriptor = real_open(path, flags, mode);
    if (descriptor >= DESCRIPTORS) abort();
    if (descriptor >= 0) {
      file_of[descriptor] = file_named(path);
      record(existed && S_ISDIR(found.st_mode) ? 'd' : existed ? 'e' : 'o', file_of[descriptor], 0, path, strlen(path));
    }
    if (what == KILL_AFTER) die();
  }
  pthread_mutex_unlock(&lock);
  if (what > 0) errno = what;
  return descriptor;
}

#define MODE                                            \
  mode_t mode = 0;                                      \
  if (flags & O_CREAT) {                                \
    va_list rest;                                       \
    va_start(rest, flags);                              \
    mode = va_arg(rest, mode_t);                        \
    va_end(rest);                                       \
  }

int open(const char *path, int flags, ...) { MODE return open_watched(path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE return open_watched(path, flags, mode); }

int close(int descriptor) {
  if (file_at(descriptor)) file_of[descriptor] = 0;
  return real_close(descriptor);
}

ssize_t pwrite64(int descriptor, const void *data, size_t length, off64_t offset) {
  int file = file_at(descriptor);
  if (!file) return real_pwrite(descriptor, data, length, offset);
  pthread_mutex_lock(&lock);
  int what = fate('w');
  ssize_t written = -1;
  if (what <= 0) {
    int half = what == CUT_SHORT || what == KILL_MIDDLE;
    written = real_pwrite(descriptor, data, half ? length / 2 : length, offset);
    if (written > 0) record('w', file, offset, data, written);
    if (what == KILL_MIDDLE || what == KILL_AFTER) die();
  }
  pthread_mutex_unlock(&lock);
  if (what > 0) errno = what;
  return written;
}
ssize_t pwrite(int descriptor, const void *data, size_t length, off_t offset) {
  return pwrite64(descriptor, data, length, offset);
}

ssize_t write(int descriptor, const void *data, size_t length) {
  if (!file_at(descriptor)) return real_write(descriptor, data, length);
  off64_t offset = lseek64(descriptor, 0, SEEK_CUR);
  ssize_t written = pwrite64(descriptor, data, length, offset);
  if (written > 0) lseek64(descriptor, offset + written, SEEK_SET);
  return written;
}

static int read_fails(int descriptor) {
  if (!file_at(descriptor)) return 0;
  pthread_mutex_lock(&lock);
  int what = fate('r');
  pthread_mutex_unlock(&lock);
  if (what > 0) errno = what;
  return what > 0;
}
ssize_t read(int descriptor, void *data, size_t length) {
  return read_fails(descriptor) ? -1 : real_read(descriptor, data, length);
}
ssize_t pread64(int descriptor, void *data, size_t length, off64_t offset) {
  return read_fails(descriptor) ? -1 : real_pread(descriptor, data, length, offset);
}
ssize_t pread(int descriptor, void *data, size_t length, off_t offset) {
  return pread64(descriptor, data, length, offset);
}

static int sync_watched(int descriptor, int (*real)(int)) {
  int file = file_at(descriptor);
  if (!file) return real(descriptor);
  pthread_mutex_lock(&lock);
  int what = fate('s');
  record(what > 0 ? 'S' : 's', file, 0, 0, 0);
  if (what == KILL_AFTER) die();
  pthread_mutex_unlock(&lock);
  if (what > 0) errno = what;
  return what > 0 ? -1 : 0;
}
int fsync(int descriptor) { return sync_watched(descriptor, real_fsync); }
int fdatasync(int descriptor) { return sync_watched(descriptor, real_fdatasync); }

int ftruncate64(int descriptor, off64_t length) {
  int file = file_at(descriptor);
  if (!file) return real_truncate(descriptor, length);
  pthread_mutex_lock(&lock);
  int what = fate('t'), result = -1;
  if (what <= 0) {
    result = real_truncate(descriptor, length);
    record('t', file, length, 0, 0);
    if (what == KILL_AFTER) die();
  }
  pthread_mutex_unlock(&lock);
  if (what > 0) errno = what;
  return result;
}
int ftruncate(int descriptor, off_t length) { return ftruncate64(descriptor, length); }

int unlink(const char *path) {
  if (!watched(path)) return real_unlink(path);
  pthread_mutex_lock(&lock);
  int what = fate('u'), result = -1;
  if (what <= 0) {
    result = real_unlink(path);
    record('u', file_named(path), 0, path, strlen(path));
    if (what == KILL_AFTER) die();
  }
  pthread_mutex_unlock(&lock);
  if (what > 0) errno = what;
  return result;
}
