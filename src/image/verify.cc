#include "haft/image/verify.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "haft/base/file_io.h"
#include "haft/format/block_codec.h"
#include "haft/format/bundle_file.h"
#include "haft/format/checksum.h"
#include "haft/image/image_reader.h"
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
  Result<std::vector<std::byte>> Bytes(std::uint64_t offset, std::uint64_t size);
  void Check(Result<> result);

  Result<> CheckRuntime();
  Result<> CheckHeader();
  Result<> CheckZeros(std::uint64_t offset, std::uint64_t end, std::string_view what);
  Result<> CheckBlocks(const IndexView& index);
  Result<> CheckSections();
  Result<> CheckTree(const ImageReader& reader, const IndexView& index);
  void CheckEntry(const IndexView& index, const Entry& entry, const std::string& path);
  void CheckExtents(const format::Inode& inode, const IndexView& index, const std::string& path);

  int fd_;
  const format::BundleFile& bundle_;
  const format::Trailer& trailer_;
  const Progress& progress_;
  VerifyReport report_;
  std::uint64_t more_problems_ = 0;
  std::set<std::uint32_t> damaged_blocks_;
};

void Verifier::Problem(std::string text) {
  if (report_.problems.size() < VerifyReport::kMaxProblems) {
    report_.problems.push_back(std::move(text));
  } else {
    ++more_problems_;
  }
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

Result<> Verifier::CheckZeros(std::uint64_t offset, std::uint64_t end, std::string_view what) {
  auto bytes = TRY(Bytes(offset, end - offset));
  if (std::ranges::all_of(bytes, [](std::byte b) { return b == std::byte{0}; })) return {};
  return Failure(Error::Corrupt(fmt::format("{}: not zero", what)));
}

Result<> Verifier::CheckRuntime() {
  auto runtime = TRY(Bytes(0, trailer_.runtime_size));
  std::uint64_t expected = runtime.empty() ? 0 : format::Checksum(runtime);
  if (expected != trailer_.runtime_checksum) {
    return Failure(Error::Corrupt("runtime: checksum is wrong (the program in front of the image is damaged)"));
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
                             .image_id = trailer_.image_id,
                             .reserved2 = 0,
                             .checksum = 0};
  expected.checksum = format::Checksum(std::span(bytes).first(offsetof(format::Header, checksum)));
  if (std::memcmp(&header, &expected, sizeof header) == 0) return {};
  return Failure(Error::Corrupt("header: damaged"));
}

Result<> Verifier::CheckBlocks(const IndexView& index) {
  std::uint64_t position = sizeof(format::Header);
  std::vector<std::byte> raw(trailer_.block_size);
  for (std::uint64_t number = 0; number < trailer_.block_count; ++number) {
    format::Block block = TRY(index.Block(number));
    auto damaged = [&](std::string_view why) {
      damaged_blocks_.insert(static_cast<std::uint32_t>(number));
      Problem(fmt::format("block {}: {}", number, why));
    };
    if (block.offset != position || block.stored_size == 0 || block.stored_size > trailer_.block_size ||
        block.raw_size == 0 || block.raw_size > trailer_.block_size ||
        (block.codec == format::Codec::kLz4 && block.stored_size >= block.raw_size) ||
        std::ranges::any_of(block.reserved, [](unsigned char c) { return c != 0; })) {
      return Failure(Error::Corrupt(fmt::format("block {}: record is impossible", number)));
    }
    position += block.stored_size;
    if (position > trailer_.index_offset) {
      return Failure(Error::Corrupt(fmt::format("block {}: reaches into the index", number)));
    }
    auto stored = TRY(Bytes(bundle_.image_offset + block.offset, block.stored_size));
    auto decoded = format::DecodeBlock(block, stored, std::span(raw).first(block.raw_size));
    if (!decoded) damaged(decoded.error().message());
    ++report_.blocks;
  }
  return CheckZeros(bundle_.image_offset + position, bundle_.image_offset + trailer_.index_offset,
                    "padding before the index");
}

// Everything behind the blocks.
Result<> Verifier::CheckSections() {
  auto at = [&](std::uint64_t offset) { return bundle_.image_offset + offset; };
  auto index = TRY(Bytes(at(trailer_.index_offset), bundle_.index_size()));
  auto tables = std::span<const std::byte>(index).first(bundle_.chunks_offset());
  auto chunks = std::span<const std::byte>(index).subspan(bundle_.chunks_offset());
  if (format::Checksum(chunks) != trailer_.chunk_table_checksum) Problem("index: chunk checksums are damaged");
  for (std::uint64_t i = 0; i < bundle_.chunk_count(); ++i) {
    std::uint64_t begin = i * format::kChunkSize;
    std::uint64_t expected;
    std::memcpy(&expected, chunks.data() + i * sizeof expected, sizeof expected);
    auto chunk = tables.subspan(begin, std::min<std::uint64_t>(format::kChunkSize, tables.size() - begin));
    if (format::Checksum(chunk) != expected) Problem(fmt::format("index: chunk {} is damaged", i));
  }

  std::uint64_t end = trailer_.index_offset + index.size();
  auto manifest = TRY(Bytes(at(trailer_.manifest_offset), trailer_.manifest_size));
  if (format::Checksum(manifest) != trailer_.manifest_checksum) {
    Problem("manifest: checksum is wrong");
  } else if (auto parsed = format::ParseManifest(AsText(manifest)); !parsed) {
    Problem(parsed.error().message());
  }
  auto profile = TRY(Bytes(at(trailer_.profile_offset), trailer_.profile_size));
  if (format::Checksum(profile) != trailer_.profile_checksum) Problem("profile: checksum is wrong");
  if (trailer_.manifest_offset != end || trailer_.profile_offset != end + manifest.size()) {
    Problem("trailer: manifest and profile do not follow the index");
  }
  end += manifest.size() + profile.size();
  std::uint64_t trailer_offset = trailer_.image_size - sizeof(format::Trailer);
  if (end > trailer_offset || trailer_offset - end > 7) {
    Problem("trailer: does not follow the profile");
  } else {
    Check(CheckZeros(at(end), at(trailer_offset), "padding before the trailer"));
  }
  report_.bytes += sizeof(format::Trailer);  // read and checked by LocateImage

  format::Hasher128 hasher;
  hasher.Update(chunks);
  hasher.Update(manifest);
  hasher.Update(profile);
  if (hasher.Finish() != trailer_.image_id) Problem("trailer: image id does not fit the contents");
  return {};
}

void Verifier::CheckExtents(const format::Inode& inode, const IndexView& index, const std::string& path) {
  std::uint64_t expected = 0;
  bool damaged = false;
  for (std::uint64_t i = 0; i < inode.count; ++i) {
    auto extent = index.Extent(inode.first + i);
    if (!extent || extent->file_offset != expected || extent->length == 0) {
      return Problem(fmt::format("{}: extents do not follow each other", Quoted(path)));
    }
    expected += extent->length;
    if (extent->block == format::kHoleBlock) continue;
    std::uint64_t last = extent->block + (extent->block_offset + extent->length - 1) / trailer_.block_size;
    for (std::uint64_t block = extent->block; block <= last && !damaged; ++block) {
      damaged = damaged_blocks_.contains(static_cast<std::uint32_t>(block));
      auto record = index.Block(block);
      std::uint64_t used = block == last ? (extent->block_offset + extent->length - 1) % trailer_.block_size + 1
                                         : trailer_.block_size;
      if (!record || used > record->raw_size) {
        return Problem(fmt::format("{}: extent leaves its blocks", Quoted(path)));
      }
    }
  }
  if (expected != inode.size) Problem(fmt::format("{}: extents do not add up to its size", Quoted(path)));
  if (damaged) Problem(fmt::format("{}: lies in a damaged block", Quoted(path)));
}

void Verifier::CheckEntry(const IndexView& index, const Entry& entry, const std::string& path) {
  auto inode = index.Inode(std::to_underlying(entry.inode));
  if (!inode) return Problem(inode.error().message());
  if (inode->reserved != 0) Problem(fmt::format("{}: reserved field is not zero", Quoted(path)));
  if (entry.attributes.type == FileType::kFile) CheckExtents(*inode, index, path);
  if (entry.attributes.type != FileType::kDirectory && inode->links != 1) {
    Problem(fmt::format("{}: wrong number of links", Quoted(path)));
  }
}

Result<> Verifier::CheckTree(const ImageReader& reader, const IndexView& index) {
  struct Directory {
    InodeId inode;
    std::string path;
    std::uint32_t links;
  };
  Entry root = TRY(reader.Resolve("/"));
  CheckEntry(index, root, "/");
  std::vector<Directory> pending = {{root.inode, "", root.attributes.links}};
  std::uint64_t inodes = 1, content = 0;
  while (!pending.empty()) {
    Directory dir = std::move(pending.back());
    pending.pop_back();
    auto count = reader.EntryCount(dir.inode);
    if (!count) {
      Problem(std::move(count).error().Within(Quoted(dir.path)).message());
      continue;
    }
    std::uint32_t links = 2;
    for (std::uint64_t i = 0; i < *count; ++i) {
      auto entry = reader.EntryAt(dir.inode, i);
      if (!entry || !*entry) {
        Problem(entry ? "directory is shorter than it says"
                      : std::move(entry).error().Within(Quoted(dir.path + "/")).message());
        continue;
      }
      std::string path = dir.path + "/" + std::string((*entry)->name);
      const Attributes& attributes = (*entry)->attributes;
      ++inodes;
      CheckEntry(index, **entry, path);
      switch (attributes.type) {
        case FileType::kDirectory:
          ++links;
          pending.push_back({(*entry)->inode, std::move(path), attributes.links});
          break;
        case FileType::kFile:
          ++report_.files;
          content += attributes.size;
          break;
        case FileType::kSymlink:
          if (auto target = reader.ReadLink((*entry)->inode); !target) {
            Problem(std::move(target).error().Within(Quoted(path)).message());
          }
          break;
      }
    }
    if (links != dir.links) Problem(fmt::format("{}: wrong number of links", Quoted(dir.path + "/")));
  }
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
  if (std::ranges::any_of(trailer_.reserved, [](unsigned char c) { return c != 0; })) {
    Problem("trailer: reserved field is not zero");
  }
  if (more_problems_ > 0) report_.problems.push_back(fmt::format("and {} more problems", more_problems_));
  return std::move(report_);
}

}  // namespace

Result<VerifyReport> VerifyBundle(UniqueFd file, const Progress& progress) {
  format::BundleFile bundle = TRY(format::LocateImage(file.get()));
  return Verifier(file.get(), bundle, progress).Run();
}

}  // namespace haft
