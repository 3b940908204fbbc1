#include "haft/build/build.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include "entry_resolver.h"
#include "haft/archive/inner_wheels.h"
#include "haft/base/atomic_file.h"
#include "haft/base/file_io.h"
#include "haft/base/parallel.h"
#include "haft/base/path.h"
#include "haft/base/shell_words.h"
#include "haft/base/variables.h"
#include "haft/format/digest.h"
#include "haft/format/elf_program.h"
#include "haft/format/entry_script.h"
#include "haft/format/image_paths.h"
#include "haft/format/profile.h"
#include "haft/python/bootstrap.h"
#include "haft/python/bootstrap_files.h"
#include "haft/python/pip.h"
#include "haft/python/pyc_compiler.h"
#include "haft/python/python_interpreter.h"
#include "haft/python/scripts.h"
#include "haft/stack/bundled_stack.h"
#include "haft/tree/input_directory.h"
#include "haft/tree/tree.h"
#include "haft/web/serve_files.h"
#include "haft/web/web_application.h"
#include "haft/writer/byte_sink.h"
#include "haft/writer/image_writer.h"
#include "import_follower.h"
#include "import_index.h"
#include "prefetch_plan.h"
#include "profile_run.h"
#include "progress_meter.h"

namespace haft {
namespace {

// What belongs to no application, in a directory of sources.
constexpr std::array<std::string_view, 4> kNoSources = {".git", ".hg", ".svn", "__pycache__"};

// A file size limit reached is an error of write(2) while this lives, not the end of the process.
class IgnoreFileSizeSignal {
 public:
  IgnoreFileSizeSignal() {
    struct sigaction ignore = {};
    ignore.sa_handler = SIG_IGN;
    ::sigaction(SIGXFSZ, &ignore, &previous_);
  }
  ~IgnoreFileSizeSignal() { ::sigaction(SIGXFSZ, &previous_, nullptr); }
  IgnoreFileSizeSignal(const IgnoreFileSizeSignal&) = delete;
  IgnoreFileSizeSignal& operator=(const IgnoreFileSizeSignal&) = delete;

 private:
  struct sigaction previous_ = {};
};

// SOURCE_DATE_EPOCH, see https://reproducible-builds.org/specs/source-date-epoch/
Result<std::optional<std::int64_t>> TimeLimit() {
  const auto variable = GetVariable("SOURCE_DATE_EPOCH");
  if (!variable) return std::nullopt;
  const std::string_view text = *variable;
  std::int64_t limit = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), limit);
  if (error == std::errc() && end == text.data() + text.size() && limit >= 0) return limit;
  return Failure(
      Error::Invalid(fmt::format("SOURCE_DATE_EPOCH {}: not a number of seconds", Quoted(text))));
}

Result<std::string> ReadRuntime(const std::string& path) {
  if (path.empty()) return "";
  std::string runtime = TRY_WITHIN("runtime", ReadWholeFile(path));
  if (runtime.empty())
    return Failure(Error::Invalid(fmt::format("runtime: {}: is empty", Quoted(path))));
  return format::WithoutSections(std::move(runtime));
}

Result<> CheckNames(const BuildOptions& options) {
  if (!format::IsBundleName(options.name)) {
    return Failure(Error::Invalid(fmt::format(
        "name {}: not of the form [A-Za-z0-9._-], at most 64 bytes", Quoted(options.name))));
  }
  if (!options.mount.empty() && !format::IsMountPath(options.mount)) {
    return Failure(
        Error::Invalid(fmt::format("mount path {}: not an absolute path of [A-Za-z0-9._/-]",
                                   Quoted(options.mount)))
            .Remedy("write it as in '/opt/app'"));
  }
  return {};
}

// One build, step by step.
class Builder {
 public:
  explicit Builder(const BuildOptions& options)
      : options_(options), workers_(WorkerCount(options.workers)) {}

  Result<BuildReport> Run() {
    // What is cheap to check comes first: nobody wants to hear of an unwritable output after a
    // minute.
    TRY(CheckNames(options_));
    TRY(CheckEntry(options_.entry));
    TRY(CheckPipArguments(options_.pip_arguments));
    const std::optional<std::int64_t> time_limit = TRY(TimeLimit());
    const std::string runtime = TRY(ReadRuntime(options_.runtime));
    AtomicFile output = TRY(AtomicFile::Create(options_.output, runtime.empty() ? 0666 : 0777));
    const PythonInterpreter python = TRY(PythonInterpreter::Ask(options_.python));

    // Stays until the output is written: contents are read from what pip has installed.
    std::optional<PipInstall> pip;
    if (!options_.pip_arguments.empty())
      pip.emplace(TRY(PipInstall::Run(python, options_.pip_arguments)));
    TRY(Scan(pip ? pip->directory() : ""));
    format::Entry entry = TRY(EntryResolver(options_, tree_, python).Resolve());
    format::Manifest manifest = TRY(MakeManifest(std::move(entry), python));
    if (BringsPython(options_)) TRY(AddStack(python, manifest));
    TRY(AddBootstrap(tree_, BootstrapFiles(), manifest));
    if (!manifest.web.application.empty()) TRY(AddBootstrapFiles(tree_, ServeFiles()));
    TRY(Compile(python, manifest));
    TRY(Profile(python, manifest));
    if (time_limit) tree_.CapTimes(*time_limit);
    TRY(Write(output.fd(), runtime, manifest));
    TRY(output.Commit());
    return std::move(report_);
  }

 private:
  Result<> Scan(const std::string& installed) {
    ProgressMeter meter(options_.progress, "scan", "files");
    std::uint64_t files = 0;  // of the directories before
    auto add = [&](const std::string& path, const InputOptions& options) -> Result<> {
      files += TRY(AddInputDirectory(
          path, format::kSitePackages, tree_,
          [&](std::uint64_t done) { meter.Update(files + done, 0); }, options));
      return {};
    };
    if (options_.imported) {
      files += TRY(
          options_.imported->add_files(tree_, [&](std::uint64_t done) { meter.Update(done, 0); }));
    }
    for (const std::string& path : options_.site_packages) TRY(add(path, {}));
    for (const std::string& path : options_.sources) TRY(add(path, {.skipped = kNoSources}));
    // pip gives every file the time of its installation.
    if (!installed.empty()) TRY(add(installed, {.fixed_times = true}));
    TRY(ExpandEggs(tree_, format::kSitePackages));
    if (!options_.entry.executable.empty()) {
      TRY(AddInputProgram(options_.entry.executable, ImagePathOfExecutable(options_.entry), tree_));
      ++files;
    }
    if (!options_.preamble.empty()) {
      TRY(AddInputProgram(options_.preamble, PreamblePath(), tree_));
      ++files;
    }
    // The image has a site-packages directory even if there was no input.
    TRY(tree_.AddDirectory(format::kSitePackages, kGeneratedDirectory, "haft"));
    meter.Update(files, files);
    meter.Finish();
    return {};
  }

  std::string PreamblePath() const {
    return fmt::format("{}{}", format::kPreamble, options_.preamble.ends_with(".py") ? ".py" : "");
  }

  Result<format::Manifest> MakeManifest(format::Entry entry,
                                        const PythonInterpreter& python) const {
    format::Manifest manifest;
    manifest.name = options_.name;
    manifest.mount =
        options_.mount.empty() ? JoinPath(format::kMountParent, options_.name) : options_.mount;
    manifest.entry = std::move(entry);
    manifest.scripts = TRY(ListScripts(tree_, format::kSitePackages));
    manifest.python = python.target();
    manifest.paths = {std::string(format::kSitePackages)};
    manifest.arguments = options_.arguments;
    manifest.python_arguments = options_.python_arguments;
    manifest.environment = options_.environment;
    manifest.isolated = options_.isolated;
    manifest.ignore_environment = options_.ignore_environment;
    manifest.multi_call = options_.multi_call;
    if (options_.imported) manifest.preamble = options_.imported->manifest.preamble;
    if (!options_.preamble.empty()) manifest.preamble = PreamblePath();
    manifest.build_id = options_.build_id;
    if (!options_.entry.web.empty()) manifest.web = TRY(ParseWebApplication(options_.entry.web));
    // An httpd of its own, which mod_wsgi-express would pass over for the one this variable names.
    if (tree_.Find(JoinPath(format::kSitePackages, "mod_wsgi_packages/httpd")) != nullptr)
      manifest.unset = {"HTTPD"};
    manifest.builder = "haft " HAFT_VERSION;
    return manifest;
  }

  // The interpreter and httpd inside the image, and a manifest that says so.
  Result<> AddStack(const PythonInterpreter& python, format::Manifest& manifest) {
    BundledStack stack = TRY(BundledStack::Begin(tree_));
    manifest.python.path = TRY(stack.AddPython(python));
    if (options_.bundle_httpd) TRY(stack.AddHttpd(options_.httpd, format::kSitePackages));
    TRY(stack.RewriteShebangs(format::kSitePackages, manifest.mount, manifest.python.path));
    for (std::string& missing : TRY(stack.Finish())) report_.warnings.push_back(std::move(missing));
    standard_library_ = stack.standard_library();
    return {};
  }

  Result<> Compile(const PythonInterpreter& python, const format::Manifest& manifest) {
    if (python.target().tag.empty()) return {};  // an interpreter that does not use .pyc files
    ProgressMeter meter(options_.progress, "compile", "files");
    std::vector<std::string> directories = {std::string(format::kBootstrapDirectory)};
    if (options_.compile) directories.emplace_back(format::kSitePackages);
    if (!standard_library_.empty()) directories.push_back(standard_library_);
    PycCompiler compiler(python, manifest.mount, workers_);
    CompileReport compiled = TRY(compiler.Compile(
        tree_, directories, [&](auto done, auto total) { meter.Update(done, total); }));
    meter.Finish();
    report_.compiled = compiled.compiled;
    report_.not_compiled = std::move(compiled.not_compiled);
    return {};
  }

  // Learns what a start needs, and makes the import index of it.
  Result<> Profile(const PythonInterpreter& python, const format::Manifest& manifest) {
    for (const std::string& path : options_.profile_from) {
      const std::string text = TRY_WITHIN("--profile-from", ReadWholeFile(path));
      const auto more = TRY_WITHIN(Quoted(path), format::ParseProfile(text));
      if (std::ranges::none_of(
              more.files, [&](const std::string& file) { return tree_.Find(file) != nullptr; })) {
        report_.warnings.push_back(
            fmt::format("--profile-from: {}: none of its {} files is in the bundle", Quoted(path),
                        more.files.size()));
      }
      format::Merge(profile_, more);
    }
    if (options_.profile) {
      ProgressMeter meter(options_.progress, "profile", "runs");
      meter.Finish();
      for (const std::string& run : options_.profile_runs)
        Record(python, manifest, TRY(ShellWords(run)));
      // Also beside --profile-from: a trace tells nothing of what Python reads of the host, or
      // looks for in vain.
      if (options_.profile_runs.empty()) Record(python, manifest, std::nullopt);
    }
    if (!standard_library_.empty()) profile_.host.clear();  // Python comes from the image
    report_.profiled = profile_.files.size();
    // Python reads it first; the runs above call its function.
    if (std::string script = format::ScriptOf(manifest, manifest.entry);
        !script.empty() && !profile_.empty())
      profile_.files.insert(profile_.files.begin(), std::move(script));
    TRY(AddIndex(python, manifest));
    if (!profile_.empty()) prefetch_ = PlanPrefetch(tree_, profile_, layout_.parts, manifest.paths);
    return {};
  }

  // The import index, and where it goes. Without a profile nobody knows which modules a start
  // needs: all are placed as if it were these.
  Result<> AddIndex(const PythonInterpreter& python, const format::Manifest& manifest) {
    std::vector<std::string> next;
    if (options_.profile && !python.target().tag.empty()) {
      std::vector<std::string> paths = manifest.paths;
      if (!standard_library_.empty()) paths.push_back(standard_library_);
      next = TRY_WITHIN("imports", FollowImports(tree_, python, paths, profile_.files));
    }
    ImportIndex index = TRY(AddImportIndex(tree_, profile_.files, next, python.target().tag));
    layout_.parts = std::move(index.parts);
    layout_.files = profile_.files;
    layout_.ranges = profile_.ranges;
    if (layout_.parts.empty()) return {};
    layout_.files.emplace(layout_.files.begin(), format::kImportIndexPath);
    if (index.next_size != 0 || profile_.empty())
      layout_.files.emplace_back(format::kImportRestPath);
    if (!profile_.empty())
      layout_.ranges[std::string(format::kImportRestPath)] = {{0, index.next_size}};
    return {};
  }

  void Record(const PythonInterpreter& python, const format::Manifest& manifest,
              const std::optional<std::vector<std::string>>& arguments) {
    ProfileResult recorded = RecordProfile(tree_, python, manifest, arguments);
    format::Merge(profile_, recorded.profile);
    if (recorded.problem.empty()) return;
    report_.warnings.push_back(
        fmt::format("profile: {}; {} (--profile, --no-profile)", recorded.problem,
                    arguments ? "starts may be slower than they could be"
                              : "the bundle is made, but a start fails in the same way, or is "
                                "slower than it could be"));
  }

  Result<> Write(int fd, const std::string& runtime, const format::Manifest& manifest) {
    ProgressMeter meter(options_.progress, "compress", "bytes");
    FileSink sink(fd, options_.output);
    const std::string profile =
        profile_.empty() ? std::string() : format::ToJson(profile_, prefetch_);
    TRY(sink.Append(AsBytes(runtime)));
    TRY(PadTo(sink, 0, format::kAlignment));
    ImageSummary image =
        TRY(WriteImage(tree_, manifest,
                       {.compression = options_.compression,
                        .workers = workers_,
                        .runtime_size = runtime.size(),
                        .runtime_digest = format::Sha256Of(AsBytes(runtime)),
                        .layout = layout_,
                        .profile = profile,
                        .progress = [&](auto done, auto total) { meter.Update(done, total); }},
                       sink));
    meter.Finish();
    report_.image_id = format::ToHex(image.root);
    report_.files = image.file_count;
    report_.content_bytes = image.content_size;
    report_.output_bytes = sink.size();
    return {};
  }

  const BuildOptions& options_;
  const unsigned workers_;
  Tree tree_;
  format::Profile profile_;
  std::vector<format::Prefetch> prefetch_;
  StartLayout layout_;
  std::string standard_library_;  // in the image, if the interpreter is
  BuildReport report_;
};

}  // namespace

Result<BuildReport> BuildBundle(const BuildOptions& options) {
  IgnoreFileSizeSignal ignore;
  return Builder(options).Run();
}

}  // namespace haft
