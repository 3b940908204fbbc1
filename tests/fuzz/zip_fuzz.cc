// libFuzzer target: an archive of any bytes is opened, recognised, verified, made an image and
// read. What its directory says holds in the image, and what is read has the CRC that the directory
// names.
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "haft/archive/recognised_archive.h"
#include "haft/archive/zip_archive.h"
#include "haft/archive/zip_image.h"
#include "haft/base/file_io.h"
#include "haft/format/entry.h"
#include "haft/python/bootstrap.h"
#include "haft/python/bootstrap_files.h"

namespace haft {
namespace {

// Bounds of the work for one input, so that a slow one is a finding.
constexpr std::uint64_t kMostContent = 1u << 20;

void Require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken promise: %s\n", what);
  std::abort();
}

void RequireOneLine(const std::string& message) {
  Require(!message.empty() && message.find('\n') == message.npos, "an error is one line");
}

// One file in memory for all inputs.
UniqueFd InputFile(std::span<const std::byte> bytes) {
  static const int fd = ::memfd_create("fuzz", MFD_CLOEXEC);
  Require(::ftruncate(fd, 0) == 0 && WriteAllAt(fd, bytes, 0).has_value(), "memfd");
  return UniqueFd(::dup(fd));
}

void CheckEntry(const ImageReader& reader, const ZipEntry& entry, bool damaged) {
  auto found = reader.Resolve(entry.name);
  Require(found.has_value(), "every entry is in the image");
  if (entry.type == ZipEntryType::kDirectory) {
    Require(found->attributes.type == FileType::kDirectory, "directories are directories");
    return;
  }
  Require(found->attributes.size == entry.size && found->attributes.mode == entry.mode,
          "attributes are the entry's");
  if (entry.type == ZipEntryType::kSymlink) return;
  std::vector<std::byte> content(entry.size + 1);
  auto size = reader.Read(found->inode, 0, content);
  if (damaged) return;
  Require(size.has_value() && *size == entry.size, "what verify calls good can be read");
  auto crc = ::crc32_z(0, reinterpret_cast<const unsigned char*>(content.data()), entry.size);
  Require(crc == entry.crc, "contents have the CRC of the directory");
}

Result<ImageReader> OpenRecognised(const std::shared_ptr<ZipArchive>& archive) {
  RecognisedArchive found = TRY(RecogniseArchive(archive));
  format::Manifest& manifest = found.info.manifest;
  if (manifest.entry.kind == format::EntryKind::kScript) {
    Require(found.tree.files->Find(manifest.entry.file) != nullptr, "the script is in the archive");
  }
  for (const std::string& path : manifest.paths) {
    Require(path.empty() || format::IsImagePath(path), "paths are in the image");
  }
  for (const ZipEntry& entry : archive->directory().entries) {
    auto place = found.info.InSitePackages(entry.name);
    Require(!place || format::IsImagePath(*place), "converted paths are in the image");
  }
  TRY(AddBootstrap(*found.tree.files, BootstrapFiles(), manifest));
  return OpenZipImage(std::move(found.tree), manifest);
}

void CheckRecognised(const std::shared_ptr<ZipArchive>& archive) {
  auto reader = OpenRecognised(archive);
  if (!reader) {
    RequireOneLine(reader.error().message());
    return;
  }
  auto manifest = format::ReadManifest(reader->fd(), reader->bundle());
  if (!manifest) RequireOneLine(manifest.error().message());
}

Result<ImageReader> OpenAsItIs(const std::shared_ptr<ZipArchive>& archive) {
  return OpenZipImage(TRY(ReadArchiveTree(archive)), ManifestFor(*archive));
}

void Use(std::span<const std::byte> bytes) {
  static_cast<void>(LooksLikeZip(InputFile(bytes).get()));
  WantedPython wanted = PythonOf(ShebangOf(InputFile(bytes).get()));
  Require(!wanted.program.empty() || wanted.arguments.empty(), "arguments have a program");
  auto archive = ZipArchive::Open(InputFile(bytes), "fuzz.zip");
  if (!archive) {
    RequireOneLine(archive.error().message());
    return;
  }
  const ZipDirectory& directory = (*archive)->directory();
  Require(directory.content_size <= kMaxZipRatio * bytes.size(),
          "no archive unpacks to more than the ratio allows");
  if (directory.content_size > kMostContent) return;
  CheckRecognised(*archive);
  VerifyReport report = VerifyZip(**archive, {});
  for (const std::string& problem : report.problems) RequireOneLine(problem);
  auto reader = OpenAsItIs(*archive);
  if (!reader) {
    RequireOneLine(reader.error().message());
    Require(!report.problems.empty(), "what verify calls good becomes an image");
    return;
  }
  for (std::uint32_t i = 0; i < directory.entries.size(); ++i) {
    CheckEntry(*reader, directory.entries[i], !(*archive)->Check(i).has_value());
  }
}

}  // namespace
}  // namespace haft

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  haft::Use(std::as_bytes(std::span(data, size)));
  return 0;
}
