// Prints every field and constant of haft/format/layout.h, one per line, for
// format_document_test.py.
#include <fmt/format.h>

#include <cstddef>

#include "haft/format/layout.h"

namespace haft::format {
namespace {

#define FIELD(record, field) \
  fmt::print("field {} {} {} {}\n", #record, #field, offsetof(record, field), sizeof(record::field))
#define CONSTANT(name) fmt::print("constant {} {}\n", #name, static_cast<unsigned long long>(name))

void PrintMagic(const char* name, const Magic& magic) {
  fmt::print("magic {} {:02x}\n", name, fmt::join(magic, ""));
}

void PrintHeader() {
  fmt::print("record Header {}\n", sizeof(Header));
  FIELD(Header, magic);
  FIELD(Header, major);
  FIELD(Header, minor);
  FIELD(Header, reserved);
  FIELD(Header, image_size);
  FIELD(Header, runtime_size);
  FIELD(Header, digest);
}

void PrintTrailer() {
  fmt::print("record Trailer {}\n", sizeof(Trailer));
  FIELD(Trailer, magic);
  FIELD(Trailer, major);
  FIELD(Trailer, minor);
  FIELD(Trailer, trailer_size);
  FIELD(Trailer, incompatible);
  FIELD(Trailer, compatible);
  FIELD(Trailer, image_size);
  FIELD(Trailer, runtime_size);
  FIELD(Trailer, index_offset);
  FIELD(Trailer, inode_count);
  FIELD(Trailer, extent_count);
  FIELD(Trailer, block_count);
  FIELD(Trailer, string_size);
  FIELD(Trailer, manifest_offset);
  FIELD(Trailer, manifest_size);
  FIELD(Trailer, profile_offset);
  FIELD(Trailer, profile_size);
  FIELD(Trailer, security_offset);
  FIELD(Trailer, signature_size);
  FIELD(Trailer, file_count);
  FIELD(Trailer, content_size);
  FIELD(Trailer, block_size);
  FIELD(Trailer, chunk_size);
  FIELD(Trailer, hash);
  FIELD(Trailer, reserved);
  FIELD(Trailer, chunk_table_digest);
  FIELD(Trailer, manifest_digest);
  FIELD(Trailer, profile_digest);
  FIELD(Trailer, runtime_digest);
  FIELD(Trailer, reserved2);
  FIELD(Trailer, root);
}

void PrintInode() {
  fmt::print("record Inode {}\n", sizeof(Inode));
  FIELD(Inode, mode);
  FIELD(Inode, parent);
  FIELD(Inode, size);
  FIELD(Inode, mtime);
  FIELD(Inode, mtime_nanoseconds);
  FIELD(Inode, name_size);
  FIELD(Inode, name_offset);
  FIELD(Inode, first);
  FIELD(Inode, count);
  FIELD(Inode, links);
  FIELD(Inode, reserved);
}

void PrintExtent() {
  fmt::print("record Extent {}\n", sizeof(Extent));
  FIELD(Extent, file_offset);
  FIELD(Extent, length);
  FIELD(Extent, block);
  FIELD(Extent, block_offset);
}

void PrintBlock() {
  fmt::print("record Block {}\n", sizeof(Block));
  FIELD(Block, offset);
  FIELD(Block, stored_size);
  FIELD(Block, raw_size);
  FIELD(Block, digest);
  FIELD(Block, codec);
  FIELD(Block, reserved);
}

void PrintConstants() {
  PrintMagic("Header", kHeaderMagic);
  PrintMagic("Trailer", kTrailerMagic);
  CONSTANT(kMajor);
  CONSTANT(kMinor);
  CONSTANT(kAlignment);
  CONSTANT(kChunkSize);
  CONSTANT(kMinBlockSize);
  CONSTANT(kMaxBlockSize);
  CONSTANT(kDefaultBlockSize);
  CONSTANT(kHoleBlock);
  CONSTANT(kMaxInodes);
  CONSTANT(kMaxBlocks);
  CONSTANT(kMaxFileSize);
  CONSTANT(kMaxNameSize);
  CONSTANT(kMaxPathSize);
  CONSTANT(kMaxTargetSize);
  CONSTANT(kMaxManifestSize);
  CONSTANT(kModeMask);
  CONSTANT(kSha256);
  CONSTANT(kSignatureAreaSize);
  fmt::print("constant kStored {}\n", static_cast<int>(Codec::kStored));
  fmt::print("constant kLz4 {}\n", static_cast<int>(Codec::kLz4));
  fmt::print("constant kZstd {}\n", static_cast<int>(Codec::kZstd));
}

}  // namespace
}  // namespace haft::format

int main() {
  using namespace haft::format;
  PrintHeader();
  PrintTrailer();
  PrintInode();
  PrintExtent();
  PrintBlock();
  PrintConstants();
}
