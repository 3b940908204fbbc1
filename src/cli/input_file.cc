#include "input_file.h"

#include <fcntl.h>
#include <fmt/format.h>

#include "haft/archive/zip_image.h"
#include "haft/base/file_io.h"
#include "haft/format/bundle_file.h"

namespace haft::cli {

Result<InputFile> OpenInput(const std::string& path) {
  UniqueFd fd = TRY(OpenFile(path, O_RDONLY));
  auto bundle = format::LocateImage(fd.get());
  if (bundle) return InputFile{.path = path, .image = std::move(fd), .archive = {}};
  // A damaged image is one all the same, unless the file is a complete archive.
  const bool foreign = bundle.error().kind() == ErrorKind::kInvalidInput;
  if (LooksLikeZip(fd.get())) {
    auto archive = ZipArchive::Open(std::move(fd), path);
    if (archive) return InputFile{.path = path, .image = {}, .archive = *std::move(archive)};
    if (foreign) return Failure(std::move(archive).error());
  }
  if (!foreign) return Failure(std::move(bundle).error().Within(Quoted(path)));
  return Failure(Error::Invalid(
      fmt::format("{}: no zip archive, and {}", Quoted(path), bundle.error().message())));
}

Result<ImageReader> OpenImage(const std::string& path) {
  InputFile input = TRY(OpenInput(path));
  if (input.archive) return OpenZipImage(input.archive);
  auto reader = ImageReader::Open(std::move(input.image));
  if (!reader) return Failure(std::move(reader).error().Within(Quoted(path)));
  return reader;
}

}  // namespace haft::cli
