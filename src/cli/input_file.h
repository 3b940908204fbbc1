// Files that commands read: haft's own bundles and images, and zip archives of any maker.
#pragma once

#include <memory>
#include <string>

#include "haft/archive/zip_archive.h"
#include "haft/base/error.h"
#include "haft/base/unique_fd.h"
#include "haft/format/bundle_file.h"
#include "haft/image/image_reader.h"

namespace haft::cli {

// One of the two is set.
struct InputFile {
  std::string path;
  UniqueFd image;                       // ends with a haft image, which is
  format::BundleFile bundle = {};       // here
  std::shared_ptr<ZipArchive> archive;  // its directory has been checked
};

// Tells by the end of the file which of the two it is, and what is wrong with it if it is a damaged
// one. Errors name the file.
Result<InputFile> OpenInput(const std::string& path);

// The files in a bundle, image or archive as they are; nothing is added. Errors name the file.
Result<ImageReader> OpenImage(const std::string& path);

// The same for commands that show what is in a file, whoever wrote it. From before its first byte
// is looked at the process can do nothing but read what is open and write to what is open (see
// ConfineInspection()), for good.
Result<InputFile> OpenInputConfined(const std::string& path);
Result<ImageReader> OpenImageConfined(const std::string& path);
// It may change what is below the directory `parent` too (see ConfineExtraction()). One that cannot
// be opened is told by whoever needs it.
Result<ImageReader> OpenImageToExtract(const std::string& path, const std::string& parent);

}  // namespace haft::cli
