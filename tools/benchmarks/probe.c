// The C side of the benchmarks. Usage:
//   probe … --probe-stamp …    prints when main() began, and ends: stands in for Python, whose first instruction that is
//   probe --probe-read DIR     reads all files below DIR with as little work as possible; prints nanoseconds, files, bytes
//   probe ARGUMENT...          is Python: the builder asks the interpreter for its version
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char buffer[1 << 17];
static long long files, bytes;

static long long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void fail(const char* what) {
  perror(what);
  exit(1);
}

static void read_tree(int directory) {
  DIR* stream = fdopendir(directory);
  if (!stream) fail("fdopendir");
  struct dirent* entry;
  while ((entry = readdir(stream))) {
    if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
    if (entry->d_type != DT_DIR && entry->d_type != DT_REG) continue;
    int fd = openat(dirfd(stream), entry->d_name, O_RDONLY);
    if (fd < 0) fail(entry->d_name);
    if (entry->d_type == DT_DIR) {
      read_tree(fd);
      continue;
    }
    ssize_t n;
    while ((n = read(fd, buffer, sizeof buffer)) > 0) bytes += n;
    if (n < 0) fail(entry->d_name);
    files++;
    close(fd);
  }
  closedir(stream);
}

int main(int argc, char** argv) {
  long long begin = now();
  for (int i = 1; i < argc; i++) {
    if (!strcmp(argv[i], "--probe-stamp")) {
      printf("%lld\n", begin);
      return 0;
    }
    if (!strcmp(argv[i], "--probe-read") && i + 1 < argc) {
      int directory = open(argv[i + 1], O_RDONLY | O_DIRECTORY);
      if (directory < 0) fail(argv[i + 1]);
      read_tree(directory);
      printf("%lld %lld %lld\n", now() - begin, files, bytes);
      return 0;
    }
  }
  execv("/usr/bin/python3", argv);
  return 127;
}
