// Linked into the runtime only, before libcrypto.a: see unused_zstd.cc. Of that library SHA-256
// alone is used. What it asks of the rest of the library is here, so that the rest stays out: its
// start, which every program that has it pays for, asks the processor four times what it can, 40 µs
// in a virtual machine. The C library has asked already. (Its header says _Bool, which clang takes
// for C alone.)
#include <cstddef>
#include <cstring>

#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__) && \
    __has_include(<sys/platform/x86.h>)
#include <sys/platform/x86.h>

extern "C" {

// OPENSSL_ia32cap(3): registers edx and ecx of leaf 1, ebx and ecx of leaf 7, as far as the
// operating system supports it.
unsigned int OPENSSL_ia32cap_P[4];

[[gnu::constructor]] static void AskTheCLibrary() {
  const auto& leaf1 = __x86_get_cpuid_feature_leaf(CPUID_INDEX_1)->active_array;
  const auto& leaf7 = __x86_get_cpuid_feature_leaf(CPUID_INDEX_7)->active_array;
  OPENSSL_ia32cap_P[0] = leaf1[cpuid_register_index_edx];
  OPENSSL_ia32cap_P[1] = leaf1[cpuid_register_index_ecx];
  OPENSSL_ia32cap_P[2] = leaf7[cpuid_register_index_ebx];
  OPENSSL_ia32cap_P[3] = leaf7[cpuid_register_index_ecx];
}

void OPENSSL_cleanse(void* bytes, std::size_t size) {
  ::explicit_bzero(bytes, size);
}

}  // extern "C"
#endif
