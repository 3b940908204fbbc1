#include "start_file.h"

#include <fmt/format.h>
#include <stdlib.h>

#include <memory>

#include "foreign_variables.h"
#include "haft/archive/archive_kind.h"
#include "haft/archive/zip_image.h"
#include "haft/format/bundle_file.h"
#include "haft/python/bootstrap.h"
#include "haft/python/bootstrap_files.h"
#include "host_python.h"
#include "input_file.h"

namespace haft::cli {
namespace {

std::string AbsolutePath(const std::string& path) {
  std::unique_ptr<char, decltype(&::free)> resolved(::realpath(path.c_str(), nullptr), ::free);
  return resolved ? resolved.get() : "";
}

Result<StartImage> OpenArchiveForStart(const std::shared_ptr<ZipArchive>& archive,
                                       Environment& environment) {
  format::Manifest made;
  ZipImageOptions options{.name = {}, .expand_wheels = true, .prepare = {}};
  options.prepare = [&](Tree& tree, format::Manifest& manifest) -> Result<> {
    ArchiveInfo info = TRY(Recognise(tree, archive->path()));
    if (!info.obstacle.empty()) {
      return Failure(Error(ErrorKind::kUnsupported,
                           fmt::format("a {} file: {}", NameOf(info.kind), info.obstacle)));
    }
    WantedPython wanted = PythonOf(ShebangOf(archive->fd()));
    info.manifest.name = manifest.name;
    info.manifest.mount = manifest.mount;
    info.manifest.builder = manifest.builder;
    info.manifest.python.path = FindPythonOrUsual(wanted.program, environment);
    info.manifest.python_arguments = std::move(wanted.arguments);
    info.manifest.ignore_environment = wanted.ignore_environment;
    TranslateVariables(info.kind, environment, info.manifest);
    manifest = made = std::move(info.manifest);
    return AddBootstrap(tree, BootstrapFiles(), manifest);
  };
  ImageReader reader = TRY(OpenZipImage(archive, options));
  return StartImage{.reader = std::move(reader),
                    .manifest = std::move(made),
                    .path = AbsolutePath(archive->path())};
}

}  // namespace

Result<StartImage> OpenForStart(const std::string& path, Environment& environment) {
  InputFile input = TRY(OpenInput(path));
  if (input.archive) return OpenArchiveForStart(input.archive, environment);
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
  if (!python.empty() && python[0] != '/' && python.find('/') != python.npos)
    add(python.substr(0, python.rfind('/')));
  return directories;
}

}  // namespace haft::cli
