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

}  // namespace haft::cli
