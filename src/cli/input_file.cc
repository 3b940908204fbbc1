#include "input_file.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <optional>
#include <utility>

#include "haft/archive/zip_image.h"
#include "haft/base/file_io.h"

namespace haft::cli {

namespace {

// `archive`: what is wrong with the file as an archive, if it looks like one.
Error ExplainNeither(const std::string& path, std::optional<Error> archive) {
  auto file = OpenFile(path, O_RDONLY);
  if (!file) return std::move(file).error();
  Error image = format::ExplainMissingTrailer(file->get());
  // A damaged image is one all the same, whatever it looks like besides.
  if (image.kind() != ErrorKind::kInvalidInput) return std::move(image).Within(Quoted(path));
  if (archive) return *std::move(archive);
  return Error::Invalid(fmt::format("{}: no zip archive, and {}", Quoted(path), image.message()));
}

}  // namespace

Result<InputFile> OpenInput(const std::string& path) {
  UniqueFd file = TRY(OpenFile(path, O_RDONLY));
  auto bundle = format::FindImage(file.get());
  if (bundle && *bundle)
    return InputFile{.path = path, .image = std::move(file), .bundle = **bundle, .archive = {}};
  std::optional<Error> archive_error;
  if (LooksLikeZip(file.get())) {
    auto archive = ZipArchive::Open(std::move(file), path);
    if (archive) return InputFile{.path = path, .image = {}, .archive = *std::move(archive)};
    archive_error = std::move(archive).error();
  }
  if (!bundle) return Failure(std::move(bundle).error().Within(Quoted(path)));
  return Failure(ExplainNeither(path, std::move(archive_error)));
}

Result<ImageReader> OpenImage(const std::string& path) {
  InputFile input = TRY(OpenInput(path));
  if (input.archive) {
    const format::Manifest manifest = ManifestFor(*input.archive);
    return OpenZipImage(TRY(ReadArchiveTree(std::move(input.archive))), manifest);
  }
  return TRY_WITHIN(Quoted(path), ImageReader::Open(std::move(input.image)));
}

}  // namespace haft::cli
