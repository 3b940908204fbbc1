// Linked into the runtime only, before libsodium.a: see unused_zstd.cc. Of that library checking an
// Ed25519 signature alone is used. These are in an object that brings random numbers and guarded
// memory along, 120 KB.
#include <cstddef>
#include <cstdlib>
#include <cstring>

extern "C" {

void sodium_memzero(void* bytes, std::size_t size) {
  ::explicit_bzero(bytes, size);
}

// What is compared is part of a file: nothing is told by how long it takes.
int sodium_memcmp(const void* a, const void* b, std::size_t size) {
  return std::memcmp(a, b, size) == 0 ? 0 : -1;
}

int sodium_is_zero(const unsigned char* bytes, std::size_t size) {
  unsigned char any = 0;
  while (size > 0) any = static_cast<unsigned char>(any | bytes[--size]);
  return any == 0 ? 1 : 0;
}

}  // extern "C"
