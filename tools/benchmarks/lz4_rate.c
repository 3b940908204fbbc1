// What one core decodes: the yardstick of reading one large file.
//   lz4_rate pack FILE OUT EVERY    compresses each EVERYth 128 KiB block of FILE as `haft build --compression lz4` does
//   lz4_rate decode OUT             decodes them from memory, one after another; prints nanoseconds and bytes
#include <fcntl.h>
#include <lz4.h>
#include <lz4hc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { kBlock = 128 << 10 };
static char raw[kBlock], packed[LZ4_COMPRESSBOUND(kBlock)];

static void fail(const char* what) {
  perror(what);
  exit(1);
}

static FILE* open_file(const char* path, const char* mode) {
  FILE* file = fopen(path, mode);
  if (!file) fail(path);
  return file;
}

// OUT is a row of records: sizes of the decoded and the compressed block, the compressed block (as it is, if that saves less than
// 5 %). Level and rule are those of src/format/block_encoder.cc.
static int pack(const char* from, const char* to, int every) {
  FILE *in = open_file(from, "rb"), *out = open_file(to, "wb");
  for (long block = 0;; block += every) {
    if (fseek(in, block * kBlock, SEEK_SET)) fail(from);
    uint32_t sizes[2] = {(uint32_t)fread(raw, 1, kBlock, in), 0};
    if (!sizes[0]) break;
    uint32_t most = sizes[0] - sizes[0] / 20 - 1;
    if (most) sizes[1] = (uint32_t)LZ4_compress_HC(raw, packed, (int)sizes[0], (int)most, LZ4HC_CLEVEL_DEFAULT);
    int stored = !sizes[1];
    if (stored) sizes[1] = sizes[0];
    fwrite(sizes, sizeof sizes, 1, out);
    fwrite(stored ? raw : packed, 1, sizes[1], out);
  }
  if (fclose(out)) fail(to);
  return 0;
}

static int decode(const char* path) {
  FILE* in = open_file(path, "rb");
  struct stat status;
  if (fstat(fileno(in), &status)) fail(path);
  char* blocks = malloc((size_t)status.st_size);
  if (!blocks || fread(blocks, 1, (size_t)status.st_size, in) != (size_t)status.st_size) fail(path);
  long long bytes = 0;
  struct timespec begin, end;
  clock_gettime(CLOCK_MONOTONIC, &begin);
  for (char* at = blocks; at < blocks + status.st_size;) {
    uint32_t sizes[2];
    memcpy(sizes, at, sizeof sizes);
    at += sizeof sizes;
    if (sizes[0] == sizes[1]) {
      memcpy(raw, at, sizes[0]);
    } else if (LZ4_decompress_safe(at, raw, (int)sizes[1], kBlock) != (int)sizes[0]) {
      fprintf(stderr, "%s: damaged\n", path);
      return 1;
    }
    at += sizes[1];
    bytes += sizes[0];
  }
  clock_gettime(CLOCK_MONOTONIC, &end);
  printf("%lld %lld\n", (end.tv_sec - begin.tv_sec) * 1000000000LL + end.tv_nsec - begin.tv_nsec, bytes);
  return 0;
}

int main(int argc, char** argv) {
  if (argc == 5 && !strcmp(argv[1], "pack") && atoi(argv[4]) > 0) return pack(argv[2], argv[3], atoi(argv[4]));
  if (argc == 3 && !strcmp(argv[1], "decode")) return decode(argv[2]);
  fprintf(stderr, "usage: lz4_rate pack FILE OUT EVERY | decode OUT\n");
  return 2;
}
