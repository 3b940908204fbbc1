#include "haft/archive/zip_image.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <utility>

#include "haft/base/limits.h"
#include "haft/base/unique_fd.h"
#include "haft/writer/byte_sink.h"
#include "haft/writer/image_writer.h"
#include "zip_blocks.h"

namespace haft {

Result<ImageReader> OpenZipImage(ArchiveTree tree, const format::Manifest& manifest,
                                 std::size_t cache_bytes) {
  const std::string path = tree.archive->path();
  auto blocks = TRY(ZipBlocks::Make(std::move(tree.files)));
  blocks->Keep(std::move(tree.archive));
  for (InnerArchive& wheel : tree.wheels) blocks->Keep(std::move(wheel.archive));
  UniqueFd index(::memfd_create("haft-index", MFD_CLOEXEC));
  if (!index) return Failure(Error::FromErrno("memfd_create"));
  const FileSizeLimit limit(FileSizeLimit::Files::kInMemory);
  FileSink sink(index.get(), "index of " + path);
  TRY(WriteImageWithoutBlocks(blocks->tree(), blocks->plan(), blocks->Tables(), manifest, {},
                              sink));
  return ImageReader::Open(std::move(index), std::move(blocks), cache_bytes);
}

namespace {

Result<> CheckEntry(ZipArchive& archive, std::uint32_t entry) {
  if (archive.directory().entries[entry].type == ZipEntryType::kSymlink) {
    TRY(archive.LinkTarget(entry));
    return {};
  }
  return archive.Check(entry);
}

}  // namespace

VerifyReport VerifyZip(ZipArchive& archive,
                       const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
  const ZipDirectory& directory = archive.directory();
  VerifyReport report;
  std::uint64_t more_problems = 0;
  for (std::uint32_t i = 0; i < directory.entries.size(); ++i) {
    const ZipEntry& entry = directory.entries[i];
    if (entry.type == ZipEntryType::kFile) ++report.files;
    if (auto done = CheckEntry(archive, i); !done) {
      if (report.problems.size() < VerifyReport::kMaxProblems) {
        report.problems.push_back(done.error().message());
      } else {
        ++more_problems;
      }
    }
    ++report.blocks;
    report.bytes += entry.size;
    if (progress) progress(report.bytes, directory.content_size);
  }
  if (more_problems > 0)
    report.problems.push_back(fmt::format("and {} more problems", more_problems));
  return report;
}

}  // namespace haft
