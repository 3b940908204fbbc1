#include "start_file.h"

#include <fmt/format.h>
#include <stdlib.h>

#include <memory>

#include "foreign_variables.h"
#include "haft/archive/recognised_archive.h"
#include "haft/archive/zip_image.h"
#include "haft/base/path.h"
#include "haft/format/bundle_file.h"
#include "haft/python/bootstrap.h"
#include "haft/python/bootstrap_files.h"
#include "haft/python/shebang.h"
#include "host_python.h"
#include "input_file.h"

namespace haft::cli {
namespace {

std::string AbsolutePath(const std::string& path) {
  std::unique_ptr<char, decltype(&::free)> resolved(::realpath(path.c_str(), nullptr), ::free);
  return resolved ? resolved.get() : "";
}

// What the archive says, what this host has, and what `environment` asks for.
format::Manifest ManifestForStart(const RecognisedArchive& found, Environment& environment) {
  format::Manifest manifest = found.info.manifest;
  manifest.python.path = FindPythonOrUsual(found.python.program, environment);
  manifest.python_arguments = found.python.arguments;
  manifest.ignore_environment = found.python.ignore_environment;
  TranslateVariables(found.info.kind, environment, manifest);
  return manifest;
}

Result<StartImage> OpenArchiveForStart(std::shared_ptr<ZipArchive> archive,
                                       Environment& environment) {
  std::string path = AbsolutePath(archive->path());
  RecognisedArchive found = TRY(RecogniseArchive(std::move(archive)));
  TRY(CheckRunnable(found.info));
  format::Manifest manifest = ManifestForStart(found, environment);
  TRY(AddBootstrap(*found.tree.files, BootstrapFiles(), manifest));
  ImageReader reader = TRY(OpenZipImage(std::move(found.tree), manifest));
  return StartImage{
      .reader = std::move(reader), .manifest = std::move(manifest), .path = std::move(path)};
}

}  // namespace

Result<StartImage> OpenForStart(const std::string& path, Environment& environment) {
  InputFile input = TRY(OpenInput(path));
  if (input.archive) return OpenArchiveForStart(std::move(input.archive), environment);
  ImageReader reader = TRY(ImageReader::Open(std::move(input.image)));
  format::Manifest manifest = TRY(format::ReadManifest(reader.fd(), reader.bundle()));
  return StartImage{
      .reader = std::move(reader), .manifest = std::move(manifest), .path = AbsolutePath(path)};
}

std::vector<std::string> ProgramDirectories(const StartImage& image) {
  std::vector<std::string> directories;
  auto add = [&](const std::string& directory) {
    auto entry = image.reader.Resolve(directory);
    if (entry && entry->attributes.type == FileType::kDirectory) directories.push_back(directory);
  };
  for (const std::string& path : image.manifest.paths) {
    for (std::string_view bin : {"bin", ".prefix/bin"}) add(JoinPath(path, bin));
  }
  // The interpreter it brings along.
  const std::string& python = image.manifest.python.path;
  if (!python.empty() && python[0] != '/' && python.contains('/'))
    add(std::string(DirName(python)));
  return directories;
}

}  // namespace haft::cli
