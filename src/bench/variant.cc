#include "haft/bench/variant.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>

#include "haft/base/embedded_file.h"
#include "haft/base/file_io.h"
#include "haft/base/interruption.h"
#include "haft/base/path.h"
#include "haft/base/subprocess.h"
#include "haft/base/text.h"
#include "haft/base/variables.h"
#include "haft/format/manifest.h"
#include "haft/image/extract.h"
#include "haft/image/image_reader.h"
#include "haft/launch/interpreter.h"

namespace haft {
std::span<const EmbeddedFile> BenchPrograms();  // make_zip.py, start.py
}

namespace haft::bench {
namespace {

using format::EntryKind;

constexpr std::string_view kStarter = "haft-bench-start.py";
constexpr std::array kNames = {"bundle",          "unpacked",     "pyz",       "shiv",
                               "shiv-first",      "pex",          "pex-first", "squashfuse",
                               "kernel-squashfs", "kernel-erofs", "erofsfuse"};

Result<> WriteFile(const std::string& path, std::string_view text, unsigned mode = 0644) {
  UniqueFd file = TRY(OpenFile(path, O_WRONLY | O_CREAT | O_TRUNC, mode));
  return WriteAll(file.get(), AsBytes(text));
}

Result<> MakeDirectory(const std::string& path) {
  if (::mkdir(path.c_str(), 0755) < 0) return Failure(Error::FromErrno(Quoted(path)));
  return {};
}

std::string_view Embedded(std::string_view name) {
  for (const EmbeddedFile& file : BenchPrograms()) {
    if (file.name == name) return file.bytes;
  }
  return {};
}

class VariantMaker {
 public:
  VariantMaker(const VariantRequest& request, const Environment& environment,
               const std::function<void(std::string_view)>& progress)
      : request_(request), environment_(environment), progress_(progress) {
    for (const KnownVariable& known : kKnownVariables) {
      if (known.use == VariableUse::kStart) environment_.Unset(known.name);
    }
  }

  Result<Variants> Make() {
    TRY(Open());
    Add("bundle", {.argv = WithArguments({request_.file}),
                   .environment = environment_.entries(),
                   .before = {},
                   .after = {},
                   .forget = {}});
    progress_("unpacked");
    TRY(Unpack());
    Add("unpacked", StartIn(unpacked_));
    for (const char* name : kNames) {
      if (!Wanted(name) ||
          std::ranges::find(made_.variants, name, &Variant::name) != made_.variants.end())
        continue;
      progress_(name);
      auto done = MakeOther(name);
      TRY(Interruption::Check());
      if (!done)
        made_.notes.push_back(fmt::format("{}: left out: {}", name, done.error().message()));
    }
    return std::move(made_);
  }

 private:
  bool Wanted(std::string_view name) const {
    return request_.wanted.empty() || request_.wanted.contains(name);
  }
  std::string Path(std::string_view name) const {
    return fmt::format("{}/{}", request_.directory, name);
  }
  void Add(std::string name, StartCommand start) {
    made_.variants.push_back({std::move(name), std::move(start)});
  }

  std::vector<std::string> WithArguments(std::vector<std::string> words) const {
    words.insert(words.end(), request_.arguments.begin(), request_.arguments.end());
    return words;
  }

  Result<> Open() {
    UniqueFd file = TRY(OpenFile(request_.file, O_RDONLY));
    reader_.emplace(TRY_WITHIN(Quoted(request_.file), ImageReader::Open(std::move(file))));
    manifest_ = TRY(format::ReadManifest(reader_->fd(), reader_->bundle()));
    if (reader_->bundle().trailer.runtime_size == 0 || manifest_.entry.kind == EntryKind::kNone) {
      return Failure(Error(ErrorKind::kUnsupported,
                           fmt::format("{}: cannot be started", Quoted(request_.file)))
                         .Remedy("measure a bundle that 'haft build' made"));
    }
    if (manifest_.python.path.starts_with('/'))
      python_ = TRY(ChooseInterpreter(manifest_.python, environment_));
    return {};
  }

  // --- a directory with the same files, and how to start it ---

  Result<> Unpack() {
    unpacked_ = Path("unpacked");
    TRY(ExtractImage(*reader_, unpacked_, {}));
    std::error_code error;
    for (const auto& file : std::filesystem::recursive_directory_iterator(unpacked_, error)) {
      if (file.path().extension() == ".so" ||
          file.path().filename().string().find(".so.") != std::string::npos)
        ++libraries_;
    }
    return WriteFile(unpacked_ + "/" + std::string(kStarter), Starter(false));
  }

  std::string Starter(bool zipped) const {
    bool has_pth = false;
    for (const std::string& path : manifest_.paths) {
      std::error_code error;
      for (const auto& file :
           std::filesystem::directory_iterator(fmt::format("{}/{}", unpacked_, path), error)) {
        has_pth = has_pth || file.path().extension() == ".pth";
      }
    }
    nlohmann::ordered_json facts = {
        {"arguments", manifest_.arguments}, {"paths", manifest_.paths},
        {"pth", has_pth ? 1 : 0},           {"zipped", zipped ? 1 : 0},
        {"module", manifest_.entry.module}, {"function", manifest_.entry.function}};
    // JSON of texts, lists and numbers is Python.
    return fmt::format("FACTS = {}\n{}",
                       facts.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace),
                       Embedded("start.py"));
  }

  bool StartsByImport() const {
    return manifest_.entry.kind == EntryKind::kFunction ||
           manifest_.entry.kind == EntryKind::kModule;
  }

  StartCommand StartIn(const std::string& root) const {
    Environment environment = environment_;
    for (const auto& variable : manifest_.environment)
      environment.Set(variable.name, variable.value);
    if (manifest_.isolated) environment.Set("PYTHONNOUSERSITE", "1");
    std::string python_path;
    for (const std::string& path : manifest_.paths)
      python_path += fmt::format("{}{}/{}", python_path.empty() ? "" : ":", root, path);
    if (auto old = environment.Get("PYTHONPATH"); old && !old->empty())
      python_path += fmt::format(":{}", *old);
    environment.Set("PYTHONPATH", python_path);

    std::string python =
        python_.empty() ? fmt::format("{}/{}", root, manifest_.python.path) : python_;
    std::vector<std::string> words = {python};
    words.insert(words.end(), manifest_.python_arguments.begin(), manifest_.python_arguments.end());
    if (StartsByImport()) {
      words.push_back(fmt::format("{}/{}", root, kStarter));
    } else if (manifest_.entry.kind == EntryKind::kScript) {
      if (!manifest_.entry.python) words.clear();
      words.push_back(fmt::format("{}/{}", root, manifest_.entry.file));
    }
    return {.argv = WithArguments(std::move(words)),
            .environment = environment.entries(),
            .before = {},
            .after = {},
            .forget = {}};
  }

  // --- the others ---

  Result<> MakeOther(std::string_view name) {
    if (name == "pyz") return MakePyz();
    if (name == "shiv")
      return MakeArchive("shiv", {"--site-packages"}, {"-p", python_}, "SHIV_ROOT");
    if (name == "pex")
      return MakeArchive("pex", {"-D"}, {fmt::format("--python={}", python_), "--no-index"},
                         "PEX_ROOT");
    if (name == "squashfuse")
      return MakeMounted(name, "squashfuse_ll", {}, [&] { return MakeSquashfs(); });
    if (name == "erofsfuse") return MakeMounted(name, "erofsfuse", {}, [&] { return MakeErofs(); });
    if (name == "kernel-squashfs")
      return MakeKernelMounted(name, "squashfs", [&] { return MakeSquashfs(); });
    if (name == "kernel-erofs")
      return MakeKernelMounted(name, "erofs", [&] { return MakeErofs(); });
    return {};  // "shiv-first", "pex-first" come with the others
  }

  // The program's path, from PATH and where system tools are.
  Result<std::string> Find(std::string_view name) const {
    std::string path(environment_.Get("PATH").value_or(""));
    path += ":/usr/sbin:/sbin:/usr/bin:/bin";
    std::string found = FindInPath(name, path);
    if (!found.empty()) return found;
    return Failure(Error(ErrorKind::kNotFound, fmt::format("{} is not installed", name)));
  }

  Result<> RunTool(std::vector<std::string> words) const {
    std::string program = words[0];
    words.erase(words.begin());
    CommandOutput done = TRY(RunCommand({.program = program,
                                         .arguments = std::move(words),
                                         .environment = environment_.entries()}));
    if (done.status == 0) return {};
    const std::string_view last = LastLine(done.errors);
    return Failure(Error(ErrorKind::kSystem,
                         fmt::format("{}: {}{}{}", Quoted(program), DescribeStatus(done.status),
                                     last.empty() ? "" : ": ", last)));
  }

  Result<> RequireImport() const {
    if (!StartsByImport() || python_.empty()) {
      return Failure(Error(ErrorKind::kUnsupported,
                           "only for functions and modules that the host's Python runs"));
    }
    return {};
  }

  std::vector<std::string> PackageDirectories() const {
    std::vector<std::string> directories;
    for (const std::string& path : manifest_.paths)
      directories.push_back(fmt::format("{}/{}", unpacked_, path));
    return directories;
  }

  Result<> MakePyz() {
    TRY(RequireImport());
    if (libraries_ > 0)
      return Failure(Error(ErrorKind::kUnsupported,
                           "it has shared libraries, which cannot be loaded from a zip archive"));
    std::string archive = Path("app.pyz"), main = Path("pyz_main.py");
    TRY(WriteFile(main, Starter(true)));
    std::vector<std::string> words = {python_, "-I", "-c", std::string(Embedded("make_zip.py")),
                                      archive, main};
    for (std::string& directory : PackageDirectories()) words.push_back(std::move(directory));
    TRY(RunTool(std::move(words)));
    StartCommand start = StartIn(unpacked_);
    start.environment = environment_.entries();
    start.argv = WithArguments({python_, archive});
    Add("pyz", std::move(start));
    return {};
  }

  // shiv and pex, as their own builders make them of the same directories. Both unpack themselves
  // at the first start.
  Result<> MakeArchive(const std::string& tool, std::vector<std::string> per_directory,
                       std::vector<std::string> options, const std::string& root_variable) {
    TRY(RequireImport());
    std::string program = TRY(Find(tool)), archive = Path("app." + tool),
                entry = Path(tool + "-entry");
    // A module that does what our starter does, because neither can run a module and pass
    // arguments.
    TRY(MakeDirectory(entry));
    TRY(WriteFile(entry + "/haft_bench_entry.py", Starter(true)));
    std::vector<std::string> words = {program, "-o", archive, "-e", "haft_bench_entry:main"};
    words.insert(words.end(), options.begin(), options.end());
    std::vector<std::string> directories = PackageDirectories();
    directories.push_back(entry);
    for (std::string& directory : directories) {
      words.insert(words.end(), per_directory.begin(), per_directory.end());
      words.push_back(std::move(directory));
    }
    TRY(RunTool(std::move(words)));
    Environment environment = environment_;
    environment.Set(root_variable, Path(tool + "-root"));
    StartCommand start{.argv = WithArguments({python_, archive}),
                       .environment = environment.entries(),
                       .before = {},
                       .after = {},
                       .forget = {}};
    Add(tool, start);
    if (!Wanted(tool + "-first")) return {};
    environment.Set(root_variable, Path(tool + "-first-root"));
    start.environment = environment.entries();
    start.forget = Path(tool + "-first-root");
    Add(tool + "-first", std::move(start));
    return {};
  }

  Result<std::string> MakeSquashfs() {
    std::string image = Path("image.squashfs");
    if (::access(image.c_str(), F_OK) == 0) return image;
    std::string tool = TRY(Find("mksquashfs"));
    TRY(RunTool({std::move(tool), unpacked_, image, "-comp", "lz4", "-Xhc", "-b", "131072",
                 "-no-progress", "-quiet"}));
    return image;
  }

  Result<std::string> MakeErofs() {
    std::string image = Path("image.erofs");
    if (::access(image.c_str(), F_OK) == 0) return image;
    std::string tool = TRY(Find("mkfs.erofs"));
    TRY(RunTool({std::move(tool), "-zlz4hc", image, unpacked_}));
    return image;
  }

  // `tool` mounts what `make_image` makes, with `options` before both.
  template <typename MakeImage>
  Result<> MakeMounted(std::string_view name, std::string_view tool,
                       const std::vector<std::string>& options, MakeImage make_image) {
    std::vector<std::string> mount;
    mount.push_back(TRY(Find(tool)));
    mount.insert(mount.end(), options.begin(), options.end());
    const std::string image = TRY(make_image());
    std::string point = Path(fmt::format("{}-mount", name));
    TRY(MakeDirectory(point));
    StartCommand start = StartIn(point);
    mount.insert(mount.end(), {image, point});
    start.before.push_back(std::move(mount));
    const bool root = ::geteuid() == 0;
    std::vector<std::string> unmount;
    unmount.push_back(TRY(Find(root ? "umount" : "fusermount3")));
    if (!root) unmount.emplace_back("-u");
    unmount.push_back(std::move(point));
    start.after.push_back(std::move(unmount));
    Add(std::string(name), std::move(start));
    return {};
  }

  template <typename MakeImage>
  Result<> MakeKernelMounted(std::string_view name, const char* type, MakeImage make_image) {
    if (::geteuid() != 0) return Failure(Error(ErrorKind::kUnsupported, "only root may mount it"));
    std::string kernel = TRY(ReadWholeFile("/proc/filesystems"));
    if (kernel.find(fmt::format("\t{}\n", type)) == kernel.npos) {
      return Failure(Error(ErrorKind::kUnsupported, fmt::format("this kernel has no {}", type)));
    }
    return MakeMounted(name, "mount", {"-t", type, "-o", "loop,ro"}, std::move(make_image));
  }

  const VariantRequest& request_;
  Environment environment_;
  const std::function<void(std::string_view)>& progress_;
  std::optional<ImageReader> reader_;
  format::Manifest manifest_;
  std::string python_;    // of the host; "" if the bundle brings its own
  std::string unpacked_;  // directory
  unsigned libraries_ = 0;
  Variants made_;
};

}  // namespace

std::vector<std::string> VariantNames() {
  return {kNames.begin(), kNames.end()};
}

Result<Variants> MakeVariants(const VariantRequest& request, const Environment& environment,
                              const std::function<void(std::string_view)>& progress) {
  return VariantMaker(request, environment, progress).Make();
}

}  // namespace haft::bench
