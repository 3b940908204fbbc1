// The C side of the benchmarks. Usage:
//   probe … --probe-stamp …    prints when main() began, and ends: stands in for Python, whose first instruction that is
//   probe --probe-read DIR     reads all files below DIR with as little work as possible; prints nanoseconds, files, bytes
//   probe --probe-find DIR     the same, but only lists the directories
//   probe --probe-stat DIR     the same, but asks for each file's status
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

enum Work { kRead, kFind, kStat };

static void walk(int directory, enum Work work) {
  DIR* stream = fdopendir(directory);
  if (!stream) fail("fdopendir");
  struct dirent* entry;
  while ((entry = readdir(stream))) {
    if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
    if (entry->d_type != DT_DIR && entry->d_type != DT_REG) continue;
    if (entry->d_type == DT_REG && work != kRead) {
      struct stat status = {};
      if (work == kStat && fstatat(dirfd(stream), entry->d_name, &status, AT_SYMLINK_NOFOLLOW)) fail(entry->d_name);
      bytes += status.st_size;
      files++;
      continue;
    }
    int fd = openat(dirfd(stream), entry->d_name, O_RDONLY);
    if (fd < 0) fail(entry->d_name);
    if (entry->d_type == DT_DIR) {
      walk(fd, work);
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
    static const char* const kWorks[] = {"--probe-read", "--probe-find", "--probe-stat"};
    for (int work = kRead; work <= kStat && i + 1 < argc; work++) {
      if (strcmp(argv[i], kWorks[work])) continue;
      int directory = open(argv[i + 1], O_RDONLY | O_DIRECTORY);
      if (directory < 0) fail(argv[i + 1]);
      walk(directory, (enum Work)work);
      printf("%lld %lld %lld\n", now() - begin, files, bytes);
      return 0;
    }
  }
  execv("/usr/bin/python3", argv);
  return 127;
}
