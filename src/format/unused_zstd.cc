// Linked into the runtime only. The static library's objects hold calls of code that nothing here
// reaches, next to what is used; the linker takes what it finds first, which is this, and leaves
// the rest out.
#include <zstd_errors.h>

#include <cstddef>
#include <cstdlib>

// The formats before 1.0, which no image has. All begin with a look for the size of a frame; there
// ends whatever a damaged block makes of itself.
extern "C" {
#define HAFT_NO_ZSTD(version)                                                                \
  void ZSTDv##version##_findFrameSizeInfoLegacy(const void*, std::size_t, std::size_t* size, \
                                                unsigned long long* bound) {                 \
    *size = static_cast<std::size_t>(-ZSTD_error_prefix_unknown);                            \
    *bound = static_cast<unsigned long long>(-2); /* ZSTD_CONTENTSIZE_ERROR */               \
  }                                                                                          \
  void ZSTDv##version##_createDCtx() {                                                       \
    std::abort();                                                                            \
  }                                                                                          \
  void ZSTDv##version##_decompress_usingDict() {                                             \
    std::abort();                                                                            \
  }                                                                                          \
  void ZSTDv##version##_freeDCtx() {                                                         \
    std::abort();                                                                            \
  }                                                                                          \
  void ZSTDv##version##_getFrameParams() {                                                   \
    std::abort();                                                                            \
  }                                                                                          \
  void ZBUFFv##version##_createDCtx() {                                                      \
    std::abort();                                                                            \
  }                                                                                          \
  void ZBUFFv##version##_decompressContinue() {                                              \
    std::abort();                                                                            \
  }                                                                                          \
  void ZBUFFv##version##_decompressInitDictionary() {                                        \
    std::abort();                                                                            \
  }                                                                                          \
  void ZBUFFv##version##_freeDCtx() {                                                        \
    std::abort();                                                                            \
  }
HAFT_NO_ZSTD(05)
HAFT_NO_ZSTD(06)
HAFT_NO_ZSTD(07)
#undef HAFT_NO_ZSTD
}
