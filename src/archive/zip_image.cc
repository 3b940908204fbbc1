#include "haft/archive/zip_image.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>

#include <utility>

#include "haft/archive/inner_wheels.h"
#include "haft/base/file_io.h"
#include "haft/format/checksum.h"
#include "haft/writer/byte_sink.h"
#include "haft/writer/image_writer.h"
#include "zip_blocks.h"

namespace haft {

std::string BundleNameFor(std::string_view path) {
  constexpr std::size_t kLongest = 64;
  std::string name;
  for (char c : path.substr(path.rfind('/') + 1)) {  // npos + 1 == 0
    bool possible = format::IsBundleName(std::string("x") + c);
    name += possible ? c : '-';
  }
  name.erase(0, std::min(name.find_first_not_of(".-"), name.size()));
  name.resize(std::min(name.size(), kLongest));
  return name.empty() ? "archive" : name;
}

Result<ImageReader> OpenZipImage(const std::shared_ptr<ZipArchive>& archive,
                                 const ZipImageOptions& options) {
  auto tree = std::make_unique<Tree>();
  TRY(AddArchive(archive, *tree));
  std::vector<InnerArchive> inner;
  if (options.expand_wheels) inner = TRY(ExpandInnerWheels(*tree, archive->path()));
  format::Manifest manifest;
  manifest.name = options.name.empty() ? BundleNameFor(archive->path()) : options.name;
  manifest.mount = "/haft/" + manifest.name;
  // The digest makes image ids differ where contents do: an image id covers the manifest.
  manifest.builder = fmt::format("haft {}, from a zip directory {}", HAFT_VERSION,
                                 format::ToHex(archive->directory().digest));
  if (options.prepare) TRY(options.prepare(*tree, manifest));

  auto blocks = TRY(ZipBlocks::Make(std::move(tree)));
  blocks->Keep(archive);
  for (InnerArchive& wheel : inner) blocks->Keep(std::move(wheel.archive));
  UniqueFd index(::memfd_create("haft-index", MFD_CLOEXEC));
  if (!index) return Failure(Error::FromErrno("memfd_create"));
  FileSink sink(index.get(), "index of " + archive->path());
  TRY(WriteImageWithoutBlocks(blocks->tree(), blocks->plan(), blocks->Tables(), manifest, {},
                              sink));
  return ImageReader::Open(std::move(index), std::move(blocks), options.cache_bytes);
}

Result<ImageReader> OpenZipImage(const std::string& path, const ZipImageOptions& options) {
  return OpenZipImage(TRY(ZipArchive::Open(TRY(OpenFile(path, O_RDONLY)), path)), options);
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
