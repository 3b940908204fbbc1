#include "haft/image/verify.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "check_extents.h"
#include "haft/base/file_io.h"
#include "haft/format/block_codec.h"
#include "haft/format/bundle_file.h"
#include "haft/format/digest.h"
#include "haft/format/signature_area.h"
#include "haft/image/image_reader.h"
#include "haft/image/walk_image.h"
#include "index_view.h"

namespace haft {
namespace {

using Progress = std::function<void(std::uint64_t, std::uint64_t)>;

// One pass over the file in its order, then one over the tree.
class Verifier {
 public:
  Verifier(int fd, const format::BundleFile& bundle, const Progress& progress)
      : fd_(fd), bundle_(bundle), trailer_(bundle.trailer), progress_(progress) {}

  Result<VerifyReport> Run();

 private:
  void Problem(std::string text);
  // The path is quoted only if it is shown.
  void ProblemAt(std::string_view path, std::string_view what);
  Result<std::vector<std::byte>> Bytes(std::uint64_t offset, std::uint64_t size);
  Result<format::Digest> DigestOf(std::uint64_t offset, std::uint64_t size);
  void Check(Result<> result);

  Result<> CheckRuntime();
  Result<> CheckHeader();
  Result<> CheckZeros(std::uint64_t offset, std::uint64_t end, std::string_view what);
  Result<> CheckBlocks(const IndexView& index);
  Result<> CheckIndex();
  Result<> CheckSections();
  Result<> CheckTree(const ImageReader& reader, const IndexView& index);
  void CheckEntry(const IndexView& index, const ExtentChecker& extents, const DirectoryEntry& entry,
                  const std::string& path);

  int fd_;
  const format::BundleFile& bundle_;
  const format::Trailer& trailer_;
  const Progress& progress_;
  VerifyReport report_;
  std::uint64_t more_problems_ = 0;
  CheckedBlocks blocks_;
  std::vector<std::byte> raw_;  // a decoded block
};

void Verifier::Problem(std::string text) {
  if (report_.problems.size() < VerifyReport::kMaxProblems) {
    report_.problems.push_back(std::move(text));
  } else {
    ++more_problems_;
  }
}

void Verifier::ProblemAt(std::string_view path, std::string_view what) {
  const bool shown = report_.problems.size() < VerifyReport::kMaxProblems;
  Problem(shown ? fmt::format("{}: {}", Quoted(path), what) : std::string());
}

void Verifier::Check(Result<> result) {
  if (!result) Problem(result.error().message());
}

// From the file; offsets are file offsets here.
Result<std::vector<std::byte>> Verifier::Bytes(std::uint64_t offset, std::uint64_t size) {
  std::vector<std::byte> bytes(size);
  TRY(ReadExactly(fd_, bytes, offset));
  report_.bytes += size;
  if (progress_) progress_(report_.bytes, bundle_.image_offset + trailer_.image_size);
  return bytes;
}

// Of any number of bytes; offsets are file offsets.
Result<format::Digest> Verifier::DigestOf(std::uint64_t offset, std::uint64_t size) {
  format::Sha256 hasher;
  while (size > 0) {
    std::uint64_t part = std::min<std::uint64_t>(size, 1u << 20);
    hasher.Update(TRY(Bytes(offset, part)));
    offset += part;
    size -= part;
  }
  return hasher.Finish();
}

Result<> Verifier::CheckZeros(std::uint64_t offset, std::uint64_t end, std::string_view what) {
  if (end - offset >= format::kAlignment)
    return Failure(Error::Corrupt(fmt::format("{}: too long", what)));
  auto bytes = TRY(Bytes(offset, end - offset));
  if (std::ranges::all_of(bytes, [](std::byte b) { return b == std::byte{0}; })) return {};
  return Failure(Error::Corrupt(fmt::format("{}: not zero", what)));
}

Result<> Verifier::CheckRuntime() {
  if (TRY(DigestOf(0, trailer_.runtime_size)) != trailer_.runtime_digest) {
    return Failure(
        Error::Corrupt("runtime: digest is wrong (the program in front of the image is damaged)"));
  }
  return CheckZeros(trailer_.runtime_size, bundle_.image_offset, "padding behind the runtime");
}

Result<> Verifier::CheckHeader() {
  auto bytes = TRY(Bytes(bundle_.image_offset, sizeof(format::Header)));
  format::Header header = {};
  std::memcpy(&header, bytes.data(), sizeof header);
  format::Header expected = {.magic = format::kHeaderMagic,
                             .major = trailer_.major,
                             .minor = trailer_.minor,
                             .reserved = 0,
                             .image_size = trailer_.image_size,
                             .runtime_size = trailer_.runtime_size,
                             .digest = {}};
  expected.digest = format::Sha256Of(format::BeforeDigest(expected));
  if (std::memcmp(&header, &expected, sizeof header) == 0) return {};
  return Failure(Error::Corrupt("header: damaged"));
}

Result<> Verifier::CheckBlocks(const IndexView& index) {
  std::uint64_t position = sizeof(format::Header);
  raw_.resize(trailer_.block_size);
  bool any_zstd = false;
  for (std::uint64_t number = 0; number < trailer_.block_count; ++number) {
    format::Block block = TRY(index.Block(number));
    if (block.offset != position || block.stored_size == 0 ||
        block.stored_size > trailer_.block_size || block.raw_size == 0 ||
        block.raw_size > trailer_.block_size ||
        (block.codec != format::Codec::kStored && block.stored_size >= block.raw_size) ||
        std::ranges::any_of(block.reserved, [](unsigned char c) { return c != 0; })) {
      return Failure(Error::Corrupt(fmt::format("block {}: record is impossible", number)));
    }
    position += block.stored_size;
    if (position > trailer_.index_offset) {
      return Failure(Error::Corrupt(fmt::format("block {}: reaches into the index", number)));
    }
    auto stored = TRY(Bytes(bundle_.image_offset + block.offset, block.stored_size));
    if (auto decoded = format::DecodeBlock(block, stored, std::span(raw_).first(block.raw_size));
        !decoded) {
      blocks_.damaged.push_back(number);
      Problem(fmt::format("block {}: {}", number, decoded.error().message()));
    }
    any_zstd |= block.codec == format::Codec::kZstd;
    if (block.raw_size < trailer_.block_size) blocks_.shorter.push_back(number);
    blocks_.first_unknown = number + 1;
    ++report_.blocks;
  }
  if (any_zstd != ((trailer_.incompatible & format::kZstdBlocks) != 0)) {
    Problem("trailer: the feature bit for zstd is wrong");
  }
  return CheckZeros(bundle_.image_offset + position, bundle_.image_offset + trailer_.index_offset,
                    "padding before the index");
}

// Every chunk of it.
Result<> Verifier::CheckIndex() {
  const std::uint64_t start = bundle_.image_offset + trailer_.index_offset;
  const std::uint64_t size = bundle_.index_size();
  auto digests = TRY(Bytes(bundle_.image_offset + trailer_.security_offset,
                           bundle_.chunk_count() * sizeof(format::Digest)));
  if (format::Sha256Of(digests) != trailer_.chunk_table_digest)
    Problem("index: chunk digests are damaged");
  for (std::uint64_t i = 0; i < bundle_.chunk_count(); ++i) {
    const std::uint64_t begin = i * format::kChunkSize;
    format::Digest expected;
    std::memcpy(&expected, digests.data() + i * sizeof expected, sizeof expected);
    auto chunk =
        TRY(Bytes(start + begin, std::min<std::uint64_t>(format::kChunkSize, size - begin)));
    if (format::Sha256Of(chunk) != expected) Problem(fmt::format("index: chunk {} is damaged", i));
  }
  return {};
}

// Everything behind the blocks.
Result<> Verifier::CheckSections() {
  auto at = [&](std::uint64_t offset) { return bundle_.image_offset + offset; };
  TRY(CheckIndex());
  std::uint64_t end = trailer_.index_offset + bundle_.index_size();
  auto manifest = TRY(Bytes(at(trailer_.manifest_offset), trailer_.manifest_size));
  if (format::Sha256Of(manifest) != trailer_.manifest_digest) {
    Problem("manifest: digest is wrong");
  } else if (auto parsed = format::ParseManifest(AsText(manifest)); !parsed) {
    Problem(parsed.error().message());
  }
  if (TRY(DigestOf(at(trailer_.profile_offset), trailer_.profile_size)) !=
      trailer_.profile_digest) {
    Problem("profile: digest is wrong");
  }
  if (trailer_.manifest_offset != end || trailer_.profile_offset != end + manifest.size()) {
    Problem("trailer: manifest and profile do not follow the index");
  }
  end += trailer_.manifest_size + trailer_.profile_size;
  if (end > trailer_.security_offset || trailer_.security_offset - end > 7) {
    Problem("trailer: the chunk digests do not follow the profile");
  } else {
    Check(CheckZeros(at(end), at(trailer_.security_offset), "padding before the chunk digests"));
  }
  const auto signatures = TRY(Bytes(at(bundle_.signatures_offset()), trailer_.signature_size));
  if (auto parsed = format::ParseSignatureArea(signatures); !parsed)
    Problem(parsed.error().message());
  report_.bytes += sizeof(format::Trailer);  // read and checked by LocateImage
  return {};
}

void Verifier::CheckEntry(const IndexView& index, const ExtentChecker& extents,
                          const DirectoryEntry& entry, const std::string& path) {
  auto inode = index.Inode(std::to_underlying(entry.inode));
  if (!inode) return Problem(inode.error().message());
  if (entry.inode == InodeId::kRoot && inode->name_size != 0) Problem("the root has a name");
  if (entry.attributes.type == FileType::kSymlink && inode->count != 0) {
    ProblemAt(path, "symbolic link with a count");
  }
  if (inode->reserved != 0) ProblemAt(path, "reserved field is not zero");
  if (entry.attributes.type == FileType::kFile) {
    if (const std::string_view problem = extents.Check(*inode); !problem.empty())
      ProblemAt(path, problem);
  }
  if (entry.attributes.type != FileType::kDirectory && inode->links != 1) {
    ProblemAt(path, "wrong number of links");
  }
}

Result<> Verifier::CheckTree(const ImageReader& reader, const IndexView& index) {
  ExtentChecker extents(index, bundle_, blocks_);
  extents.ReadTable();
  const DirectoryEntry root = TRY(reader.Resolve("/"));
  CheckEntry(index, extents, root, "/");
  // Of the directories that are being walked through: what they say, and what is in them.
  struct Links {
    std::uint32_t said, found = 2;
  };
  std::vector<Links> links = {{root.attributes.links}};
  std::uint64_t inodes = 1, content = 0;
  auto visit = [&](const DirectoryEntry& entry, const std::string& path) -> Result<WalkStep> {
    ++inodes;
    CheckEntry(index, extents, entry, "/" + path);
    switch (entry.attributes.type) {
      case FileType::kDirectory:
        ++links.back().found;
        links.push_back({entry.attributes.links});
        break;
      case FileType::kFile:
        ++report_.files;
        content += entry.attributes.size;
        break;
      case FileType::kSymlink:
        if (auto target = reader.ReadLink(entry.inode); !target)
          ProblemAt("/" + path, target.error().message());
        break;
    }
    return WalkStep::kContinue;
  };
  auto leave = [&](const std::string& path) -> Result<> {
    if (links.back().said != links.back().found) ProblemAt("/" + path, "wrong number of links");
    links.pop_back();
    return {};
  };
  auto damaged = [&](const Error& error, const std::string& path) -> Result<> {
    ProblemAt("/" + path, error.message());
    return {};
  };
  TRY(WalkImage(reader, InodeId::kRoot, {.visit = visit, .leave = leave, .damaged = damaged}));
  if (!report_.problems.empty()) return {};  // the counts below would only repeat it
  if (inodes != trailer_.inode_count) Problem("index: inodes that are in no directory");
  if (report_.files != trailer_.file_count || content != trailer_.content_size) {
    Problem("trailer: number or size of the files is wrong");
  }
  return {};
}

Result<VerifyReport> Verifier::Run() {
  Check(CheckRuntime());
  Check(CheckHeader());
  auto index = IndexView::Open(fd_, bundle_);
  if (!index) {
    Problem(index.error().message());
  } else {
    Check(CheckBlocks(*index));
  }
  Check(CheckSections());
  auto reader = ImageReader::Open(UniqueFd(::fcntl(fd_, F_DUPFD_CLOEXEC, 0)));
  if (!reader) {
    Problem(reader.error().message());
  } else if (index) {
    Check(CheckTree(*reader, *index));
  }
  if (trailer_.reserved != 0 ||
      std::ranges::any_of(trailer_.reserved2, [](unsigned char c) { return c != 0; })) {
    Problem("trailer: reserved field is not zero");
  }
  if (more_problems_ > 0)
    report_.problems.push_back(fmt::format("and {} more problems", more_problems_));
  return std::move(report_);
}

}  // namespace

Result<VerifyReport> VerifyBundle(UniqueFd file, const Progress& progress) {
  format::BundleFile bundle = TRY(format::LocateImage(file.get()));
  return Verifier(file.get(), bundle, progress).Run();
}

}  // namespace haft
