/* Lets the n-th change of the disk below a folder fail, or ends the process there. For LD_PRELOAD; Linux, 64 bit.
 *
 * FAILING_WRITES_BELOW names the folder. Nothing happens before faults_arm(n, kind, error) is called: the n-th of the
 * calls below that concerns the folder then is
 *   kind 0: refused once with `error`          kind 1: refused with `error`, and all that follow
 *   kind 2: the last thing the process does not do: it is killed
 *   kind 3: half done where it writes, then the process is killed.
 * Real work goes through system calls, so that nothing has to be looked up. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_long seen, nth;
static atomic_int fired;
static int kind, number;
static char below[PATH_MAX];
static size_t length;

void faults_arm(long n, int how, int error) {
    const char *folder = getenv("FAILING_WRITES_BELOW");
    strncpy(below, folder ? folder : "", sizeof below - 1);
    length = strlen(below);
    kind = how;
    number = error;
    seen = 0;
    fired = 0;
    nth = length ? n : 0;
}
long faults_seen(void) { return seen; }
int faults_fired(void) { return fired; }

static int is_below(const char *path) {
    return path && strncmp(path, below, length) == 0 && (path[length] == '/' || path[length] == 0);
}

static int concerns(int fd) {
    char name[64], path[PATH_MAX];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t size = syscall(SYS_readlinkat, AT_FDCWD, name, path, sizeof path - 1);
    if (size < 0) return 0;
    path[size] = 0;
    return is_below(path);
}

/* 0: do it. 1: refuse with errno. 2: do half of it, then die. */
static int verdict(int ours) {
    if (!nth || !ours) return 0;
    long turn = atomic_fetch_add(&seen, 1) + 1;
    if (turn < nth || (turn > nth && kind != 1)) return 0;
    fired = 1;
    if (kind == 2) raise(SIGKILL);
    if (kind == 3) return 2;
    errno = number;
    return 1;
}

#define ASK(ours)                      \
    int said = verdict(ours);          \
    if (said == 1) return -1;          \
    if (said == 2) raise(SIGKILL)
#define BYTES(ours, size)              \
    int said = verdict(ours);          \
    if (said == 1) return -1;          \
    if (said == 2) size /= 2
#define TORN                           \
    if (said == 2) raise(SIGKILL);     \
    return done

ssize_t write(int fd, const void *data, size_t size) {
    BYTES(nth && concerns(fd), size);
    ssize_t done = syscall(SYS_write, fd, data, size);
    TORN;
}
ssize_t pwrite64(int fd, const void *data, size_t size, off_t at) {
    BYTES(nth && concerns(fd), size);
    ssize_t done = syscall(SYS_pwrite64, fd, data, size, at);
    TORN;
}
ssize_t pwrite(int fd, const void *data, size_t size, off_t at) { return pwrite64(fd, data, size, at); }
ssize_t writev(int fd, const struct iovec *parts, int count) {
    BYTES(nth && concerns(fd), count);
    ssize_t done = syscall(SYS_writev, fd, parts, count);
    TORN;
}
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t at) {
    BYTES(nth && concerns(fd), count);
    ssize_t done = syscall(SYS_pwritev, fd, parts, count, at, 0L);
    TORN;
}
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) { return pwritev64(fd, parts, count, at); }
ssize_t sendfile64(int out, int in, off_t *at, size_t size) {
    BYTES(nth && concerns(out), size);
    ssize_t done = syscall(SYS_sendfile, out, in, at, size);
    TORN;
}
ssize_t sendfile(int out, int in, off_t *at, size_t size) { return sendfile64(out, in, at, size); }
ssize_t copy_file_range(int in, off_t *from, int out, off_t *to, size_t size, unsigned flags) {
    BYTES(nth && concerns(out), size);
    ssize_t done = syscall(SYS_copy_file_range, in, from, out, to, size, flags);
    TORN;
}

int fsync(int fd) {
    ASK(nth && concerns(fd));
    return syscall(SYS_fsync, fd);
}
int fdatasync(int fd) {
    ASK(nth && concerns(fd));
    return syscall(SYS_fdatasync, fd);
}
int ftruncate64(int fd, off_t size) {
    ASK(nth && concerns(fd));
    return syscall(SYS_ftruncate, fd, size);
}
int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }
int fallocate64(int fd, int mode, off_t at, off_t size) {
    ASK(nth && concerns(fd));
    return syscall(SYS_fallocate, fd, mode, at, size);
}
int fallocate(int fd, int mode, off_t at, off_t size) { return fallocate64(fd, mode, at, size); }
int posix_fallocate64(int fd, off_t at, off_t size) { return fallocate64(fd, 0, at, size) ? errno : 0; }
int posix_fallocate(int fd, off_t at, off_t size) { return posix_fallocate64(fd, at, size); }

int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags) {
    ASK(is_below(from) || is_below(to));
    return syscall(SYS_renameat2, from_fd, from, to_fd, to, flags);
}
int renameat(int from_fd, const char *from, int to_fd, const char *to) { return renameat2(from_fd, from, to_fd, to, 0); }
int rename(const char *from, const char *to) { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }
int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags) {
    ASK(is_below(to));
    return syscall(SYS_linkat, from_fd, from, to_fd, to, flags);
}
int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }
int mkdirat(int fd, const char *path, mode_t mode) {
    ASK(is_below(path));
    return syscall(SYS_mkdirat, fd, path, mode);
}
int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }
/* A name relative to a folder's descriptor (as shutil.rmtree gives it) concerns us where the folder does. */
int unlinkat(int fd, const char *path, int flags) {
    ASK(nth && (is_below(path) || (path[0] != '/' && fd >= 0 && concerns(fd))));
    return syscall(SYS_unlinkat, fd, path, flags);
}
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

static int opened(int fd, const char *path, int flags, mode_t mode) {
    ASK((flags & (O_CREAT | O_TRUNC)) && is_below(path));
    return syscall(SYS_openat, fd, path, flags, mode);
}
#define MODE(flags)                                        \
    mode_t mode = 0;                                       \
    if ((flags) & (O_CREAT | __O_TMPFILE)) {               \
        va_list more;                                      \
        va_start(more, flags);                             \
        mode = va_arg(more, mode_t);                       \
        va_end(more);                                      \
    }
int open(const char *path, int flags, ...) { MODE(flags) return opened(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return opened(AT_FDCWD, path, flags, mode); }
int openat(int fd, const char *path, int flags, ...) { MODE(flags) return opened(fd, path, flags, mode); }
int openat64(int fd, const char *path, int flags, ...) { MODE(flags) return opened(fd, path, flags, mode); }
