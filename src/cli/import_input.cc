#include "import_input.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <memory>
#include <utility>
#include <vector>

#include "haft/archive/recognised_archive.h"
#include "haft/archive/zip_archive.h"
#include "haft/base/file_io.h"
#include "haft/base/path.h"
#include "haft/base/text.h"
#include "haft/format/bundle_file.h"
#include "haft/format/image_paths.h"
#include "haft/image/image_reader.h"
#include "haft/image/walk_image.h"
#include "haft/python/entry_points.h"
#include "haft/python/shebang.h"
#include "haft/stack/bundled_stack.h"
#include "haft/tree/input_directory.h"
#include "host_python.h"
#include "input_file.h"

namespace haft::cli {
namespace {

// --- archives ---

// Adds what an installer would have put into site-packages.
Result<std::uint64_t> AddRecognised(const RecognisedArchive& found, Tree& to,
                                    const std::function<void(std::uint64_t)>& progress) {
  auto place = [&](std::string_view path) -> std::optional<std::string> {
    auto inside = found.info.InSitePackages(path);
    if (!inside) return std::nullopt;
    return JoinPath(format::kSitePackages, *inside);
  };
  std::uint64_t files = TRY(AddArchive(found.tree.archive, to, place, progress));
  for (const InnerArchive& wheel : found.tree.wheels) {
    files += TRY(AddArchive(wheel.archive, to, [&](std::string_view path) {
      return place(JoinPath(wheel.directory, path));
    }));
  }
  return files;
}

Result<ImportedInput> ImportArchive(std::shared_ptr<ZipArchive> archive) {
  const std::string path = archive->path();
  auto found = std::make_shared<const RecognisedArchive>(TRY(RecogniseArchive(std::move(archive))));
  if (auto runnable = CheckRunnable(found->info); !runnable)
    return Failure(std::move(runnable).error().Within(Quoted(path)));
  ImportedInput imported;
  imported.manifest = found->info.manifest;
  format::Manifest& manifest = imported.manifest;
  for (std::string* file : {&manifest.entry.file, &manifest.preamble}) {
    if (file->empty()) continue;
    auto inside = found->info.InSitePackages(*file);
    if (!inside)
      return Failure(Error::Invalid(
          fmt::format("{}: {} would not be in the bundle", Quoted(path), Quoted(*file))));
    *file = JoinPath(format::kSitePackages, *inside);
  }
  manifest.python.path = FindPython(found->python.program, Environment::Current());
  manifest.python_arguments = found->python.arguments;
  manifest.ignore_environment = found->python.ignore_environment;
  imported.add_files = [found](Tree& to, const std::function<void(std::uint64_t)>& progress) {
    return AddRecognised(*found, to, progress);
  };
  return imported;
}

// --- bundles of haft ---

// The files of an image, to be packed again.
class ImageMembers : public MemberArchive {
 public:
  ImageMembers(ImageReader reader, std::string path)
      : reader_(std::move(reader)), path_(std::move(path)) {}

  const ImageReader& reader() const { return reader_; }

  std::string MemberOrigin(std::uint32_t member) const override {
    return fmt::format("{}/#{}", path_, member);
  }
  std::uint64_t MemberSize(std::uint32_t member) const override {
    auto attributes = reader_.Stat(InodeId{member});
    return attributes ? attributes->size : 0;
  }
  Result<> ReadMember(std::uint32_t member, std::uint64_t offset,
                      std::span<std::byte> out) override {
    while (!out.empty()) {
      std::size_t count = TRY(reader_.Read(InodeId{member}, offset, out));
      if (count == 0)
        return Failure(Error::Corrupt(fmt::format("{}: a file ends early", Quoted(path_))));
      offset += count;
      out = out.subspan(count);
    }
    return {};
  }

 private:
  ImageReader reader_;
  std::string path_;
};

class ImageCopier {
 public:
  ImageCopier(std::shared_ptr<ImageMembers> members, std::string preamble, bool skip_stack,
              Tree& tree, const std::function<void(std::uint64_t)>& progress)
      : members_(std::move(members)),
        preamble_(std::move(preamble)),
        skip_stack_(skip_stack),
        tree_(tree),
        progress_(progress) {}

  Result<std::uint64_t> Run() {
    auto visit = [&](const DirectoryEntry& entry, const std::string& path) -> Result<WalkStep> {
      if (Skipped(path)) return WalkStep::kSkip;
      TRY(Add(entry, path));
      return WalkStep::kContinue;
    };
    TRY(WalkImage(members_->reader(), InodeId::kRoot, {.visit = visit}));
    return files_;
  }

 private:
  // What haft generates is made anew; what it has compiled is for another path.
  bool Skipped(const std::string& path) const {
    if (path == format::kHaftDirectory) return preamble_.empty();
    if (format::IsHafts(path)) return path != preamble_;
    if (skip_stack_ && path == format::kStackRoot) return true;
    return path.ends_with(".pyc") && path.find("/__pycache__/") != path.npos;
  }

  Result<> Add(const DirectoryEntry& entry, const std::string& path) {
    const NodeAttributes attributes{.mode = entry.attributes.mode,
                                    .mtime = entry.attributes.mtime,
                                    .mtime_nanoseconds = entry.attributes.mtime_nanoseconds};
    const auto member = std::to_underlying(entry.inode);
    switch (entry.attributes.type) {
      case FileType::kFile:
        TRY(tree_.AddFile(path, attributes, entry.attributes.size,
                          FileSource::InArchive(members_, member)));
        if (progress_) progress_(++files_);
        return {};
      case FileType::kSymlink: {
        std::string target(TRY(members_->reader().ReadLink(entry.inode)));
        return tree_.AddSymlink(path, attributes, std::move(target),
                                members_->MemberOrigin(member));
      }
      case FileType::kDirectory:
        // Its compiled files are all it has.
        if (path.ends_with("/__pycache__")) return {};
        return tree_.AddDirectory(path, attributes, members_->MemberOrigin(member));
    }
    return {};
  }

  std::shared_ptr<ImageMembers> members_;
  const std::string preamble_;
  const bool skip_stack_;
  Tree& tree_;
  const std::function<void(std::uint64_t)>& progress_;
  std::uint64_t files_ = 0;
};

Result<ImportedInput> ImportBundle(InputFile input) {
  ImageReader reader = TRY_WITHIN(Quoted(input.path), ImageReader::Open(std::move(input.image)));
  ImportedInput imported;
  imported.manifest =
      TRY_WITHIN(Quoted(input.path), format::ReadManifest(reader.fd(), reader.bundle()));
  std::string& python = imported.manifest.python.path;
  imported.bundled_python = !python.empty() && python[0] != '/';
  imported.bundled_httpd =
      imported.bundled_python &&
      reader.Resolve(fmt::format("{}/libexec/httpd", format::kStackRoot)).has_value();
  python = imported.bundled_python ? "" : FindPython(python, Environment::Current());
  auto members = std::make_shared<ImageMembers>(std::move(reader), input.path);
  imported.add_files = [members, preamble = imported.manifest.preamble,
                        stack = imported.bundled_python](
                           Tree& tree, const std::function<void(std::uint64_t)>& progress) {
    return ImageCopier(members, preamble, stack, tree, progress).Run();
  };
  return imported;
}

// --- virtual environments ---

// "key = value" of pyvenv.cfg; "" if it is not there.
std::string Setting(std::string_view text, std::string_view key) {
  for (std::string_view line : Lines(text)) {
    auto equals = line.find('=');
    if (equals != line.npos && Trim(line.substr(0, equals)) == key)
      return std::string(Trim(line.substr(equals + 1)));
  }
  return "";
}

// lib/python3.X/site-packages; there is one.
Result<std::string> SitePackagesOf(const std::string& venv) {
  std::error_code error;
  std::string found;
  for (const auto& entry : std::filesystem::directory_iterator(venv + "/lib", error)) {
    std::string path = JoinPath(entry.path().string(), format::kSitePackages);
    if (!entry.path().filename().string().starts_with("python") || ::access(path.c_str(), X_OK) < 0)
      continue;
    if (!found.empty())
      return Failure(
          Error::Invalid(fmt::format("{}: packages for several versions of Python", Quoted(venv))));
    found = std::move(path);
  }
  if (found.empty())
    return Failure(
        Error::Invalid(fmt::format("{}: no lib/python3.X/site-packages in it", Quoted(venv))));
  return found;
}

// Whether `name` is `stem` with a version after it, or none: "python", "python3.11", "pip-3.11".
bool IsVersionOf(std::string_view name, std::string_view stem) {
  if (!name.starts_with(stem)) return false;
  name.remove_prefix(stem.size());
  if (name.starts_with("-3")) name.remove_prefix(1);
  return name.find_first_not_of("0123456789.t") == name.npos;
}

// What venv, virtualenv and uv put into bin/ whatever is installed: interpreters, pip, and files
// for a shell to read. Not every program whose name begins so: argcomplete has
// activate-global-python-argcomplete.
bool BelongsToVenv(std::string_view name) {
  for (std::string_view stem : {"python", "pypy", "pip", "easy_install"}) {
    if (IsVersionOf(name, stem)) return true;
  }
  constexpr std::array<std::string_view, 3> kForShells = {"activate", "Activate", "deactivate"};
  const std::string_view stem = name.substr(0, name.find('.'));
  return name == "activate_this.py" || name == "pydoc.bat" ||
         std::ranges::find(kForShells, stem) != kForShells.end();
}

// Programs of bin/ that are neither the environment's own nor made by an installer for a console
// script: those have the path of this environment in their first line.
Result<std::uint64_t> AddVenvPrograms(const std::string& venv, Tree& tree) {
  const EntryPoints points = TRY(EntryPoints::Find(tree, format::kSitePackages));
  std::uint64_t files = 0;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(venv + "/bin", error)) {
    const std::string name = entry.path().filename().string();
    if (BelongsToVenv(name) || points.Has(name) || !entry.is_regular_file(error)) continue;
    TRY(AddInputProgram(entry.path().string(),
                        fmt::format("{}/bin/{}", format::kSitePackages, name), tree));
    ++files;
  }
  return files;
}

Result<ImportedInput> ImportVenv(const std::string& venv) {
  const std::string settings = TRY(ReadWholeFile(venv + "/pyvenv.cfg", 1u << 20));
  const std::string packages = TRY(SitePackagesOf(venv));
  ImportedInput imported;
  imported.manifest.isolated = Setting(settings, "include-system-site-packages") != "true";
  // The one it was made with: its own is a link to it, or a copy that works in this place only.
  for (const std::string& candidate :
       {Setting(settings, "executable"), Setting(settings, "home") + "/python3"}) {
    if (imported.manifest.python.path.empty() && candidate.starts_with('/') &&
        IsExecutableFile(candidate)) {
      imported.manifest.python.path = candidate;
    }
  }
  imported.add_files =
      [venv, packages](
          Tree& tree, const std::function<void(std::uint64_t)>& progress) -> Result<std::uint64_t> {
    std::uint64_t files = TRY(AddInputDirectory(packages, format::kSitePackages, tree, progress));
    for (const char* data : {"share", "etc"}) {
      const std::string path = JoinPath(venv, data);
      if (::access(path.c_str(), X_OK) == 0) files += TRY(AddInputDirectory(path, data, tree));
    }
    return files + TRY(AddVenvPrograms(venv, tree));
  };
  return imported;
}

}  // namespace

Result<ImportedInput> ImportInput(const std::string& path) {
  struct stat status;
  if (::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) {
    if (::access((path + "/pyvenv.cfg").c_str(), F_OK) == 0) return ImportVenv(path);
    return Failure(
        Error::Invalid(fmt::format("{}: a directory that is no virtual environment", Quoted(path)))
            .Remedy("use --site-packages for a directory with packages"));
  }
  InputFile input = TRY(OpenInput(path));
  if (input.archive) return ImportArchive(std::move(input.archive));
  return ImportBundle(std::move(input));
}

}  // namespace haft::cli
