#include "input_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <optional>
#include <utility>

#include "haft/archive/zip_image.h"
#include "haft/base/file_io.h"
#include "haft/server/sandbox.h"

namespace haft::cli {

namespace {

// Without waiting: a FIFO has nobody at its other end, and a device may do anything.
Result<UniqueFd> OpenRegular(const std::string& path) {
  UniqueFd file = TRY(OpenFile(path, O_RDONLY | O_NONBLOCK | O_NOCTTY));
  struct stat status;
  if (::fstat(file.get(), &status) == 0 && (S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode)))
    return Failure(Error::Invalid(fmt::format("{}: not a regular file", Quoted(path))));
  return file;
}

// `archive`: what is wrong with the file as an archive, if it looks like one.
Error ExplainNeither(int file, const std::string& path, std::optional<Error> archive) {
  Error image = format::ExplainMissingTrailer(file);
  // A damaged image is one all the same, whatever it looks like besides.
  if (image.kind() != ErrorKind::kInvalidInput) return std::move(image).Within(Quoted(path));
  if (archive) return *std::move(archive);
  return Error::Invalid(fmt::format("{}: no zip archive, and {}", Quoted(path), image.message()));
}

Result<InputFile> Recognise(UniqueFd file, const std::string& path) {
  auto bundle = format::FindImage(file.get());
  if (bundle && *bundle)
    return InputFile{.path = path, .image = std::move(file), .bundle = **bundle, .archive = {}};
  std::optional<Error> archive_error;
  const UniqueFd again(::fcntl(file.get(), F_DUPFD_CLOEXEC, 0));  // to say what it is, if neither
  if (!again) return Failure(Error::FromErrno(Quoted(path)));
  if (LooksLikeZip(file.get())) {
    auto archive = ZipArchive::Open(std::move(file), path);
    if (archive) return InputFile{.path = path, .image = {}, .archive = *std::move(archive)};
    archive_error = std::move(archive).error();
  }
  if (!bundle) return Failure(std::move(bundle).error().Within(Quoted(path)));
  return Failure(ExplainNeither(again.get(), path, std::move(archive_error)));
}

Result<ImageReader> ReaderOf(InputFile input) {
  if (input.archive) {
    const format::Manifest manifest = ManifestFor(*input.archive);
    return OpenZipImage(TRY(ReadArchiveTree(std::move(input.archive))), manifest);
  }
  return TRY_WITHIN(Quoted(input.path), ImageReader::Open(std::move(input.image)));
}

}  // namespace

Result<InputFile> OpenInput(const std::string& path) {
  return Recognise(TRY(OpenRegular(path)), path);
}

Result<ImageReader> OpenImage(const std::string& path) {
  return ReaderOf(TRY(OpenInput(path)));
}

Result<InputFile> OpenInputConfined(const std::string& path) {
  UniqueFd file = TRY(OpenRegular(path));
  ConfineInspection();
  return Recognise(std::move(file), path);
}

Result<ImageReader> OpenImageConfined(const std::string& path) {
  return ReaderOf(TRY(OpenInputConfined(path)));
}

Result<ImageReader> OpenImageToExtract(const std::string& path, const std::string& parent) {
  UniqueFd file = TRY(OpenRegular(path));
  const UniqueFd directory(::open(parent.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  ConfineExtraction(directory.get());
  return ReaderOf(TRY(Recognise(std::move(file), path)));
}

}  // namespace haft::cli
