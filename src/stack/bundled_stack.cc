#include "haft/stack/bundled_stack.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "haft/base/file_io.h"
#include "haft/base/path.h"
#include "haft/base/subprocess.h"
#include "haft/format/image_paths.h"
#include "haft/format/limits.h"
#include "httpd_files.h"
#include "launcher_file.h"
#include "package_database.h"
#include "python_code.h"
#include "python_files.h"

namespace haft {
namespace {

namespace fs = std::filesystem;

// What programs open at run time without naming it in their headers. pthread_cancel() and C++
// exceptions load libgcc_s; a C library older than 2.34 loads a library per source of
// /etc/nsswitch.conf. Taken if the host has it.
constexpr std::array kOpenedAtRunTime = {"libgcc_s.so.1", "libnss_files.so.2", "libnss_dns.so.2",
                                         "libnss_compat.so.2", "libresolv.so.2"};

std::string Below(std::string_view path) {
  return fmt::format("{}/{}", format::kStackRoot, path);
}

// Python source of mod_wsgi's note.
std::string ApxsConfig(std::string_view httpd) {
  return fmt::format(fmt::runtime(ApxsConfigTemplate().front().bytes),
                     fmt::arg("root", format::kStackRoot), fmt::arg("httpd", httpd));
}

// Of the standard library a bundle leaves out: what pip installed, byte code (made anew), what
// compiles extension modules, and Python's own tests and editor.
bool IsLeftOut(const std::string& relative) {
  std::string name = std::string(BaseName(relative));
  if (name == "__pycache__" || name == "site-packages" || name == "dist-packages") return true;
  if (relative.find('/') != relative.npos) return false;
  return name.starts_with("config-") || name == "test" || name == "idlelib" ||
         name == "turtledemo" || name == "sitecustomize.py";
}

// "lib/python3.11" of "/usr/lib/python3.11" and "/usr".
Result<std::string> RelativeTo(const std::string& prefix, const std::string& path) {
  if (path.starts_with(prefix + "/")) return path.substr(prefix.size() + 1);
  return Failure(Error::Invalid(fmt::format(
      "python: cannot be bundled: {} is not below its prefix {}", Quoted(path), Quoted(prefix))));
}

}  // namespace

bool IsStackProgram(std::string_view path) {
  return path.starts_with(Below("loader/")) || path.starts_with(Below("libexec/"));
}

Result<BundledStack> BundledStack::Begin(Tree& tree) {
  HostLibraries libraries = TRY(HostLibraries::Read());
  return BundledStack(tree, std::move(libraries));
}

Result<> BundledStack::AddHostFile(const std::string& host_path, const std::string& path) {
  HostFile file = TRY(OpenHostFile(host_path));
  std::uint32_t mode = (file.mode & 0111) != 0 ? 0755 : 0644;
  TRY(tree_.AddFile(path, {.mode = mode, .mtime = file.mtime}, file.size, std::move(file.source)));
  origins_.emplace(path, std::move(file.path));
  return {};
}

Result<> BundledStack::AddHostDirectory(const std::string& host_path, const std::string& path,
                                        const std::function<bool(const std::string&)>& skip) {
  std::error_code error;
  std::vector<std::string> pending = {""};
  while (!pending.empty()) {
    std::string directory = std::move(pending.back());
    pending.pop_back();
    fs::directory_iterator entries(directory.empty() ? host_path : host_path + "/" + directory,
                                   error);
    if (error)
      return Failure(Error::FromErrno(Quoted(JoinPath(host_path, directory)), error.value()));
    for (const fs::directory_entry& entry : entries) {
      std::string relative = JoinPath(directory, entry.path().filename().string());
      if (skip(relative)) continue;
      std::error_code ignored;  // a dangling link is left out
      if (entry.is_directory(ignored)) {
        pending.push_back(relative);
      } else if (entry.is_regular_file(ignored)) {
        TRY(AddHostFile(entry.path().string(), JoinPath(path, relative)));
      }
    }
  }
  return {};
}

Result<> BundledStack::AddProgram(const std::string& host_path, const std::string& name) {
  HostFile file = TRY(OpenHostFile(host_path));
  auto elf = TRY(ReadElf(file.source, file.size));
  if (!elf || elf->interpreter.empty()) {
    return Failure(
        Error(ErrorKind::kUnsupported,
              fmt::format("{}: cannot be bundled: not a dynamic ELF program", Quoted(host_path))));
  }
  if (loader_.empty()) {
    auto output =
        TRY(RunCommand({.program = elf->interpreter, .arguments = {"--help"}, .environment = {}}));
    for (const char* option : {"--argv0", "--inhibit-cache", "--library-path"}) {
      if (output.out.find(option) != output.out.npos) continue;
      return Failure(Error(ErrorKind::kUnsupported,
                           fmt::format("{}: cannot be bundled: {} has no option {}",
                                       Quoted(host_path), Quoted(elf->interpreter), option))
                         .Remedy("bundling needs the GNU C library 2.33 or newer"));
    }
    loader_ = elf->interpreter;
  } else if (loader_ != elf->interpreter) {
    return Failure(Error(ErrorKind::kUnsupported,
                         fmt::format("{}: cannot be bundled: its loader is {}, others have {}",
                                     Quoted(host_path), elf->interpreter, loader_)));
  }
  TRY(AddHostFile(host_path, Below("libexec/" + name)));
  TRY(AddHostFile(loader_, Below("loader/" + name)));
  NodeAttributes attributes = {.mode = 0755, .mtime = kGeneratedTime};
  return tree_.AddText(Below("bin/" + name), std::string(Launcher().front().bytes), attributes);
}

// Another name for one of the launchers.
Result<> BundledStack::AddAlias(const std::string& alias, const std::string& name) {
  NodeAttributes attributes = {.mode = 0777, .mtime = kGeneratedTime};
  return tree_.AddSymlink(Below("bin/" + alias), attributes, name, "haft");
}

Result<std::string> BundledStack::AddPython(const PythonInterpreter& python) {
  PythonFiles files = TRY(FindPythonFiles(python));
  std::string name = std::string(BaseName(files.program));
  TRY(AddProgram(files.program, name));
  for (const char* alias : {"python3", "python"}) {
    if (name != alias) TRY(AddAlias(alias, name));
  }
  standard_library_ = Below(TRY(RelativeTo(files.prefix, files.standard_library)));
  TRY(AddHostDirectory(files.standard_library, standard_library_, IsLeftOut));
  if (files.platform_library != files.standard_library) {
    TRY(AddHostDirectory(files.platform_library,
                         Below(TRY(RelativeTo(files.exec_prefix, files.platform_library))),
                         IsLeftOut));
  }
  // Programs that embed Python, mod_wsgi among them, may come from outside of the bundle.
  HostFile program = TRY(OpenHostFile(files.program));
  const auto elf = TRY(ReadElf(program.source, program.size));
  if (!elf)
    return Failure(Error::Invalid(fmt::format("{}: no ELF program", Quoted(files.program))));
  const ElfFile user{.machine = elf->machine};
  if (auto library = libraries_.Find(files.library, user, "/"))
    TRY(AddHostFile(*library, Below("lib/" + files.library)));
  return Below("bin/" + name);
}

Result<> BundledStack::AddHttpd(const std::string& path, std::string_view site_packages) {
  HttpdFiles files = TRY(FindHttpdFiles(path));
  std::string name = std::string(BaseName(files.program));
  TRY(AddProgram(files.program, name));
  for (const char* alias : {"apache2", "httpd"}) {
    if (name != alias) TRY(AddAlias(alias, name));
  }
  TRY(AddHostDirectory(files.modules, std::string(format::kHttpdModules),
                       [](const std::string& relative) { return !relative.ends_with(".so"); }));
  for (const std::string& helper : files.helpers)
    TRY(AddProgram(helper, std::string(BaseName(helper))));
  if (!files.mime_types.empty()) TRY(AddHostFile(files.mime_types, Below("conf/mime.types")));

  // mod_wsgi's own installation writes this file; it tells mod_wsgi-express where httpd is.
  TreeNode* note = tree_.Find(fmt::format("{}/mod_wsgi/server/apxs_config.py", site_packages));
  if (note != nullptr && note->file() != nullptr) {
    std::string text = ApxsConfig(name);
    std::uint64_t size = text.size();
    note->content = TreeNode::File{size, FileSource::InMemory(std::move(text), "apxs_config.py")};
  }
  return {};
}

Result<> BundledStack::RewriteShebangs(std::string_view site_packages, std::string_view mount,
                                       std::string_view interpreter) {
  TreeNode* bin = tree_.Find(fmt::format("{}/bin", site_packages));
  if (bin == nullptr || bin->directory() == nullptr) return {};
  for (auto& [name, node] : bin->directory()->children) {
    TreeNode::File* file = node->file();
    constexpr std::uint64_t kMaxScript = 1 << 20;
    if (file == nullptr || file->size < 3 || file->size > kMaxScript) continue;
    std::string text = TRY(ReadSource(file->source, file->size));
    std::size_t end = text.find('\n');
    if (!text.starts_with("#!") || end == text.npos ||
        text.substr(0, end).find("python") == text.npos)
      continue;
    text.replace(0, end, fmt::format("#!{}/{}", mount, interpreter));
    std::uint64_t size = text.size();
    *file = {size, FileSource::InMemory(std::move(text), file->source.origin())};
  }
  return {};
}

// Every ELF file of the tree, and what programs open at run time.
std::vector<BundledStack::LibraryUser> BundledStack::FindLibraryUsers() {
  std::vector<std::pair<std::string, const TreeNode::File*>> candidates;
  tree_.Walk([&](const std::string& path, const TreeNode& node) {
    if (node.file() == nullptr) return;
    std::string name = std::string(BaseName(path));
    bool library = name.find(".so") != name.npos;
    if (library) library_names_.insert(name);
    if (library || (node.attributes.mode & 0111) != 0) candidates.emplace_back(path, node.file());
  });
  std::vector<LibraryUser> users;
  for (const auto& [path, file] : candidates) {
    auto elf = ReadElf(file->source, file->size);
    // A damaged library among the packages is theirs to explain.
    if (!elf || !*elf) continue;
    if (path.starts_with(Below("libexec/"))) machine_ = (*elf)->machine;
    users.push_back({path, *std::move(*elf)});
  }
  for (const char* name : kOpenedAtRunTime) {
    users.push_back({"", ElfFile{.machine = machine_, .dynamic = true, .needed = {name}}});
  }
  return users;
}

Result<std::optional<BundledStack::LibraryUser>> BundledStack::AddLibrary(
    const std::string& name, const std::string& host_path) {
  std::string path = Below("lib/" + name);
  TRY(AddHostFile(host_path, path));
  library_names_.insert(name);
  // OpenSSL opens its providers by name, from a directory beside the library.
  std::string modules = std::string(DirName(host_path)) + "/ossl-modules";
  if (name.starts_with("libcrypto.so") && fs::is_directory(modules)) {
    TRY(AddHostDirectory(modules, Below("lib/ossl-modules"),
                         [](const std::string&) { return false; }));
  }
  HostFile file = TRY(OpenHostFile(host_path));
  auto elf = TRY(ReadElf(file.source, file.size));
  if (!elf) return std::nullopt;
  return LibraryUser{std::move(path), *std::move(elf)};
}

// Follows the loader's rules.
Result<std::vector<std::string>> BundledStack::Finish() {
  std::vector<LibraryUser> pending = FindLibraryUsers();
  std::vector<std::string> missing;
  const std::string loader_name = std::string(BaseName(loader_));
  while (!pending.empty()) {
    LibraryUser user = std::move(pending.back());
    pending.pop_back();
    if (user.elf.machine != machine_) continue;
    auto origin = origins_.find(user.path);
    // Packages are found below the mount, which the host does not have: $ORIGIN leads nowhere
    // there.
    std::string directory =
        origin == origins_.end() ? "/nonexistent" : std::string(DirName(origin->second));
    for (const std::string& name : user.elf.needed) {
      if (name == loader_name || library_names_.contains(name)) continue;
      auto found = libraries_.Find(name, user.elf, directory);
      if (found) {
        if (auto library = TRY(AddLibrary(name, *found))) pending.push_back(*std::move(library));
      } else if (!user.path.empty()) {
        missing.push_back(
            fmt::format("{} needs {}, which this host does not have", Quoted(user.path), name));
      }
    }
  }
  std::ranges::sort(missing);
  TRY(AddContents());
  return missing;
}

Result<> BundledStack::AddContents() {
  std::vector<std::string> host_paths;
  for (const auto& [path, host_path] : origins_) host_paths.push_back(host_path);
  const PackageDatabase database = TRY(PackageDatabase::Query(host_paths));

  std::map<std::string, std::vector<std::string>> files;  // of each package; "" those without
  for (const auto& [path, host_path] : origins_) files[database.OwnerOf(host_path)].push_back(path);
  nlohmann::ordered_json contents = {{"packages", nlohmann::ordered_json::array()},
                                     {"other", nlohmann::ordered_json::array()}};
  for (const auto& [name, paths] : files) {
    if (name.empty()) {
      contents["other"] = paths;
      continue;
    }
    const HostPackage& package = database.packages().at(name);
    contents["packages"].push_back({{"name", name},
                                    {"version", package.version},
                                    {"license", package.license},
                                    {"files", paths}});
    if (!package.copyright_path.empty()) {
      HostFile file = TRY(OpenHostFile(package.copyright_path));
      TRY(tree_.AddFile(Below(fmt::format("share/doc/{}/copyright", name)),
                        {.mode = 0644, .mtime = file.mtime}, file.size, std::move(file.source)));
    }
  }
  std::string text = contents.dump(1) + "\n";
  if (text.size() > format::kMaxStackContentsSize)
    return Failure(Error::Invalid(fmt::format("{}: too large", format::kStackContents)));
  return tree_.AddText(format::kStackContents, std::move(text));
}

}  // namespace haft
