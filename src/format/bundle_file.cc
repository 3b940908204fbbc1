#include "haft/format/bundle_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "haft/base/file_io.h"
#include "haft/format/digest.h"
#include "haft/format/elf_program.h"
#include "haft/format/limits.h"

namespace haft::format {
namespace {

constexpr std::uint64_t RoundUp(std::uint64_t value, std::uint64_t unit) {
  return (value + unit - 1) / unit * unit;
}

template <typename Record>
Result<Record> ReadRecord(int fd, std::uint64_t offset) {
  Record record;
  TRY(ReadExactly(fd, std::as_writable_bytes(std::span(&record, 1)), offset));
  return record;
}

Error ExplainMissingTrailer(int fd, std::uint64_t file_size) {
  Error not_a_bundle = Error::Invalid("not a haft bundle (no trailer at its end)");
  std::optional<std::uint64_t> elf_size = ElfProgramSize(fd, file_size);
  if (elf_size && *elf_size > file_size) {
    return Error::Corrupt(
        fmt::format("the file is cut off inside its program: it has {} bytes and "
                    "needs at least {}",
                    file_size, *elf_size));
  }
  std::uint64_t image_offset = RoundUp(elf_size.value_or(0), kAlignment);
  if (elf_size && !FitsWithin(image_offset, sizeof(Header), file_size)) {
    return Error::Invalid(
               fmt::format(
                   "not a haft bundle: no image behind the program; it has {} bytes and would "
                   "need at least {}",
                   file_size, image_offset + sizeof(Header) + sizeof(Trailer)))
        .Remedy("copy it again; strip, objcopy and patchelf cut the image off");
  }
  auto header = FitsWithin(image_offset, sizeof(Header), file_size)
                    ? ReadRecord<Header>(fd, image_offset)
                    : Result<Header>(Failure(Error::Corrupt("")));
  if (!header || header->magic != kHeaderMagic ||
      !HasDigest(BeforeDigest(*header), header->digest) || header->image_size > kMaxFileSize) {
    if (file_size < sizeof(Header)) {
      return Error::Invalid(fmt::format("not a haft bundle: it has {} bytes, the smallest needs {}",
                                        file_size, sizeof(Header) + sizeof(Trailer)));
    }
    return not_a_bundle;
  }
  std::uint64_t needed = image_offset + header->image_size;
  if (needed > file_size) {
    return Error::Corrupt(
               fmt::format("the file is cut off: it has {} bytes and needs {} ({} missing)",
                           file_size, needed, needed - file_size))
        .Remedy("copy it again");
  }
  if (needed < file_size) {
    return Error::Corrupt(fmt::format("the file has {} bytes after its end: it has {} and needs {}",
                                      file_size - needed, file_size, needed))
        .Remedy("copy it again");
  }
  return Error::Corrupt("the trailer is damaged").Remedy("copy the file again");
}

Error BadTrailer(std::string_view field) {
  return Error::Corrupt(fmt::format("trailer: {} is impossible", field));
}

Result<> CheckTrailer(const BundleFile& bundle, std::uint64_t file_size) {
  const Trailer& t = bundle.trailer;
  if (t.image_size > file_size || t.image_size < sizeof(Header) + sizeof(Trailer)) {
    return Failure(BadTrailer("image_size"));
  }
  if (RoundUp(std::min(t.runtime_size, file_size), kAlignment) != bundle.image_offset ||
      t.runtime_size > file_size) {
    return Failure(BadTrailer("runtime_size"));
  }
  if (t.inode_count < 1 || t.inode_count > kMaxInodes) return Failure(BadTrailer("inode_count"));
  if (t.block_count > kMaxBlocks) return Failure(BadTrailer("block_count"));
  if (t.extent_count > t.image_size / sizeof(Extent)) return Failure(BadTrailer("extent_count"));
  if (t.string_size > t.image_size - t.extent_count * sizeof(Extent) ||
      t.string_size > t.inode_count * kMaxStringsPerInode)
    return Failure(BadTrailer("string_size"));
  // Extents and strings have less than 2^63 bytes together, the rest 2^38 at most: the sums below
  // cannot overflow.
  if (t.chunk_size != kChunkSize) return Failure(BadTrailer("chunk_size"));
  if (!std::has_single_bit(t.block_size) || t.block_size < kMinBlockSize ||
      t.block_size > kMaxBlockSize) {
    return Failure(BadTrailer("block_size"));
  }
  if (t.hash != kSha256) {
    return Failure(
        Error(ErrorKind::kUnsupported,
              fmt::format("needs hash algorithm {}, which this haft does not know", t.hash)));
  }
  if (t.signature_size != kSignatureAreaSize) return Failure(BadTrailer("signature_size"));
  std::uint64_t end = t.image_size - sizeof(Trailer);
  if (t.index_offset % kAlignment != 0 || !FitsWithin(t.index_offset, bundle.index_size(), end)) {
    return Failure(BadTrailer("index_offset"));
  }
  if (!FitsWithin(t.manifest_offset, t.manifest_size, end) || t.manifest_size > kMaxManifestSize) {
    return Failure(BadTrailer("manifest_offset"));
  }
  if (bundle.index_size() > kMaxIndexSize) return Failure(BadTrailer("size of the index"));
  if (!FitsWithin(t.profile_offset, t.profile_size, end) || t.profile_size > kMaxProfileSize) {
    return Failure(BadTrailer("profile_offset"));
  }
  // Right before the trailer, so that signatures are found from the end of the file.
  if (t.security_offset % 8 != 0 ||
      t.security_offset + bundle.chunk_count() * sizeof(Digest) + t.signature_size != end) {
    return Failure(BadTrailer("security_offset"));
  }
  return {};
}

}  // namespace

std::uint64_t BundleFile::extents_offset() const {
  return trailer.inode_count * sizeof(Inode);
}
std::uint64_t BundleFile::blocks_offset() const {
  return extents_offset() + trailer.extent_count * sizeof(Extent);
}
std::uint64_t BundleFile::strings_offset() const {
  return blocks_offset() + trailer.block_count * sizeof(Block);
}
std::uint64_t BundleFile::index_size() const {
  return RoundUp(strings_offset() + trailer.string_size, 8);
}
std::uint64_t BundleFile::chunk_count() const {
  return (index_size() + kChunkSize - 1) / kChunkSize;
}
std::uint64_t BundleFile::signatures_offset() const {
  return trailer.image_size - sizeof(Trailer) - trailer.signature_size;
}

Result<std::optional<BundleFile>> FindImage(int fd) {
  std::uint64_t file_size = TRY(FileSize(fd));
  if (file_size < sizeof(Trailer)) return std::nullopt;
  const auto trailer = TRY(ReadRecord<Trailer>(fd, file_size - sizeof(Trailer)));
  BundleFile bundle{.trailer = trailer, .image_offset = 0};
  if (trailer.magic != kTrailerMagic) return std::nullopt;
  if (!HasDigest(BeforeDigest(trailer), trailer.root)) {
    return Failure(Error::Corrupt("the trailer is damaged").Remedy("copy the file again"));
  }
  if (trailer.major != kMajor || trailer.trailer_size != sizeof(Trailer)) {
    return Failure(Error(ErrorKind::kUnsupported,
                         fmt::format("format version {}.{}; this haft reads version {}.x",
                                     trailer.major, trailer.minor, kMajor)));
  }
  if (std::uint32_t unknown = trailer.incompatible & ~kKnownIncompatible; unknown != 0) {
    return Failure(Error(ErrorKind::kUnsupported,
                         fmt::format("needs format feature {}, which this haft does not know",
                                     std::countr_zero(unknown))));
  }
  bundle.image_offset = file_size - std::min(trailer.image_size, file_size);
  TRY(CheckTrailer(bundle, file_size));
  return bundle;
}

Error ExplainMissingTrailer(int fd) {
  auto file_size = FileSize(fd);
  return file_size ? ExplainMissingTrailer(fd, *file_size) : std::move(file_size).error();
}

Result<BundleFile> LocateImage(int fd) {
  auto bundle = TRY(FindImage(fd));
  if (!bundle) return Failure(ExplainMissingTrailer(fd));
  return *bundle;
}

Result<std::string> ReadManifestText(int fd, const BundleFile& bundle) {
  const Trailer& trailer = bundle.trailer;
  std::string text(trailer.manifest_size, '\0');
  TRY(ReadExactly(fd, std::as_writable_bytes(std::span(text)),
                  bundle.image_offset + trailer.manifest_offset));
  if (!HasDigest(AsBytes(text), trailer.manifest_digest)) {
    return Failure(Error::Corrupt("manifest: digest is wrong"));
  }
  return text;
}

Result<Manifest> ReadManifest(int fd, const BundleFile& bundle) {
  return ParseManifest(TRY(ReadManifestText(fd, bundle)));
}

}  // namespace haft::format
