// On-disk structures of a haft image: the transcription of docs/format.md, which is the authority.
// Constants and plain structs only. Little-endian hosts only (checked below), so records can be
// copied out of a mapping byte for byte.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace haft::format {

static_assert(std::endian::native == std::endian::little, "haft images are read in place");

using Magic = std::array<unsigned char, 8>;
inline constexpr Magic kHeaderMagic = {0x7f, 'H', 'A', 'F', 'T', 'I', 'M', 'G'};
inline constexpr Magic kTrailerMagic = {0x7f, 'H', 'A', 'F', 'T', 'E', 'N', 'D'};
inline constexpr std::uint16_t kMajor = 1;
inline constexpr std::uint16_t kMinor = 0;
// Feature bits that readers have to understand.
inline constexpr std::uint32_t kZstdBlocks = 1u << 0;  // some blocks are of Codec::kZstd
inline constexpr std::uint32_t kKnownIncompatible = kZstdBlocks;

inline constexpr std::uint32_t kAlignment = 4096;  // of the image in the file, and of the index
inline constexpr std::uint32_t kChunkSize = 16384;
inline constexpr std::uint32_t kMinBlockSize = 4096;
inline constexpr std::uint32_t kMaxBlockSize = 1u << 20;
inline constexpr std::uint32_t kDefaultBlockSize = 128u << 10;
inline constexpr std::uint32_t kHoleBlock = 0xFFFFFFFF;
inline constexpr std::uint64_t kMaxInodes = 0x7FFFFFFF;
inline constexpr std::uint64_t kMaxBlocks = 0xFFFFFFFE;
inline constexpr std::uint64_t kMaxFileSize = (std::uint64_t{1} << 63) - 4097;
inline constexpr std::uint32_t kMaxNameSize = 255;
inline constexpr std::uint32_t kMaxPathSize = 4095;
inline constexpr std::uint32_t kMaxTargetSize = 4095;
inline constexpr std::uint64_t kMaxManifestSize = 1u << 20;
inline constexpr std::uint32_t kModeMask = 01777;  // permission bits an inode may carry
inline constexpr std::uint32_t kSha256 = 1;        // Trailer::hash
inline constexpr std::uint64_t kSignatureAreaSize = 4096;

using Digest = std::array<unsigned char, 32>;  // SHA-256

struct Header {
  Magic magic;
  std::uint16_t major;
  std::uint16_t minor;
  std::uint32_t reserved;
  std::uint64_t image_size;
  std::uint64_t runtime_size;
  Digest digest;
};

// Its root is the digest of all before it, and so of everything in the image but the header and the
// signatures.
struct Trailer {
  Magic magic;
  std::uint16_t major;
  std::uint16_t minor;
  std::uint32_t trailer_size;
  std::uint32_t incompatible;
  std::uint32_t compatible;
  std::uint64_t image_size;
  std::uint64_t runtime_size;
  std::uint64_t index_offset;
  std::uint64_t inode_count;
  std::uint64_t extent_count;
  std::uint64_t block_count;
  std::uint64_t string_size;
  std::uint64_t manifest_offset;
  std::uint64_t manifest_size;
  std::uint64_t profile_offset;
  std::uint64_t profile_size;
  std::uint64_t security_offset;
  std::uint64_t signature_size;
  std::uint64_t file_count;
  std::uint64_t content_size;
  std::uint32_t block_size;
  std::uint32_t chunk_size;
  std::uint32_t hash;
  std::uint32_t reserved;
  Digest chunk_table_digest;
  Digest manifest_digest;
  Digest profile_digest;
  Digest runtime_digest;
  std::array<unsigned char, 64> reserved2;
  Digest root;
};

struct Inode {
  std::uint32_t mode;
  std::uint32_t parent;
  std::uint64_t size;
  std::int64_t mtime;
  std::uint32_t mtime_nanoseconds;
  std::uint32_t name_size;
  std::uint64_t name_offset;
  std::uint64_t first;
  std::uint32_t count;
  std::uint32_t links;
  std::uint64_t reserved;
};

struct Extent {
  std::uint64_t file_offset;
  std::uint64_t length;
  std::uint32_t block;
  std::uint32_t block_offset;
};

enum class Codec : std::uint8_t { kStored = 0, kLz4 = 1, kZstd = 2 };

struct Block {
  std::uint64_t offset;
  std::uint32_t stored_size;
  std::uint32_t raw_size;
  Digest digest;
  Codec codec;
  std::array<unsigned char, 7> reserved;
};

static_assert(sizeof(Header) == 64);
static_assert(sizeof(Trailer) == 384);
static_assert(sizeof(Inode) == 64);
static_assert(sizeof(Extent) == 24);
static_assert(sizeof(Block) == 56);
static_assert(std::is_trivially_copyable_v<Header> && std::is_trivially_copyable_v<Trailer> &&
              std::is_trivially_copyable_v<Inode> && std::is_trivially_copyable_v<Extent> &&
              std::is_trivially_copyable_v<Block>);

}  // namespace haft::format
