#include "haft/archive/archive_kind.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "haft/base/file_io.h"
#include "haft/base/path.h"
#include "haft/format/image_paths.h"
#include "haft/format/json.h"
#include "haft/python/entry_points.h"
#include "haft/python/scripts.h"

namespace haft {
namespace {

using format::EntryKind;
using Json = nlohmann::json;

constexpr std::string_view kEnvironment = "environment.json";
constexpr std::string_view kPexInfo = "PEX-INFO";
constexpr std::string_view kMain = "__main__.py";
constexpr std::string_view kDeps = ".deps";
constexpr std::array kScriptDirectories = {std::string_view("bin"),
                                           std::string_view(".prefix/bin")};
// The members of a description that somebody asks for; the others, some of which are long, are not
// kept.
constexpr std::array kMembers = {"build_id",   "entry_point", "inherit_path", "inject_args",
                                 "inject_env", "pex_path",    "preamble",     "script"};
// shiv's --no-modify stores a checksum of each file there.
constexpr std::uint64_t kLongestDescription = 16u << 20;

// A text member, "" if it is missing or null; anything else is not understood.
Result<std::string> Text(const Json& object, const char* member, std::string_view what) {
  auto found = object.find(member);
  if (found == object.end() || found->is_null()) return "";
  if (found->is_string()) return found->get<std::string>();
  return Failure(Error::Corrupt(fmt::format("{}: {} is no text", what, member)));
}

bool IsFile(const Tree& tree, std::string_view path) {
  const TreeNode* node = tree.Find(path);
  return node != nullptr && node->directory() == nullptr;
}

bool IsDirectory(const Tree& tree, std::string_view path) {
  const TreeNode* node = tree.Find(path);
  return node != nullptr && node->directory() != nullptr;
}

class Recogniser {
 public:
  Recogniser(const Tree& tree, const std::string& file) : tree_(tree), file_(file) {}

  Result<ArchiveInfo> Run() {
    if (IsFile(tree_, kEnvironment) && IsDirectory(tree_, format::kSitePackages)) {
      TRY(Shiv());
    } else if (IsFile(tree_, kPexInfo)) {
      TRY(Pex());
    } else if (IsFile(tree_, kMain)) {
      info_.kind = ArchiveKind::kZipapp;
      manifest_.entry = {.kind = EntryKind::kScript,
                         .module = "",
                         .function = "",
                         .script = "",
                         .file = std::string(kMain),
                         .python = true};
      manifest_.paths = {""};
    } else {
      Wheel();
    }
    TRY(ListAllScripts());
    return std::move(info_);
  }

 private:
  std::string What(std::string_view path) const {
    return fmt::format("{}: {}", Quoted(file_), path);
  }

  Result<Json> Description(std::string_view path) const {
    constexpr std::size_t kMostValues = 100'000;
    const TreeNode::File* file = tree_.Find(path)->file();
    if (file == nullptr) return Failure(Error::Corrupt(What(path) + " is no file"));
    if (file->size > kLongestDescription)
      return Failure(Error::Corrupt(What(path) + " is too long"));
    std::string text = TRY(ReadSource(file->source, file->size));
    // The object itself, and in it arrays or objects of texts.
    auto wanted = [](std::string_view member) {
      return std::ranges::find(kMembers, member) != kMembers.end();
    };
    return format::ParseJsonObject(text, What(path), {.values = kMostValues, .wanted = wanted});
  }

  Result<> Shiv();
  Result<> Pex();
  void PexPaths(const Json& json);
  Result<> PexInjections(const Json& json);
  void Wheel();
  void WheelData(const std::string& root);
  bool HoldsSource(const std::string& module) const;
  Result<format::Entry> ShivEntry(const std::string& text) const;
  Result<> FindEntryScript(const std::string& name);

  Result<> ListAllScripts();

  const Tree& tree_;
  const std::string& file_;
  ArchiveInfo info_;
  format::Manifest& manifest_ = info_.manifest;
};

Result<> Recogniser::Shiv() {
  info_.kind = ArchiveKind::kShiv;
  manifest_.paths = {std::string(format::kSitePackages)};
  const std::string what = What(kEnvironment);
  Json json = TRY(Description(kEnvironment));
  manifest_.build_id = TRY(Text(json, "build_id", what));
  std::string entry_point = TRY(Text(json, "entry_point", what));
  std::string script = TRY(Text(json, "script", what));
  std::string preamble = TRY(Text(json, "preamble", what));
  if (!preamble.empty())
    manifest_.preamble = fmt::format("{}/bin/{}", format::kSitePackages, preamble);
  if (!preamble.empty() &&
      (!format::IsImagePath(manifest_.preamble) || !IsFile(tree_, manifest_.preamble))) {
    info_.obstacle = fmt::format("its preamble {} is not there", Quoted(preamble));
  }
  if (!entry_point.empty()) {
    manifest_.entry = TRY(ShivEntry(entry_point));
    manifest_.entry.script = script;
  } else if (!script.empty()) {
    TRY(FindEntryScript(script));
  } else {
    manifest_.entry.kind = EntryKind::kInterpreter;
  }
  return {};
}

// shiv takes "a.b:c", and also "a.b.c", where c may be an attribute of a.b, or a module with a
// function of its own name.
Result<format::Entry> Recogniser::ShivEntry(const std::string& text) const {
  const std::string what = fmt::format("{}: entry_point", What(kEnvironment));
  std::string plain = text.substr(0, text.find('['));
  std::erase(plain, ' ');
  std::size_t dot = plain.rfind('.');
  if (plain.find(':') != plain.npos) return format::ParseFunctionEntry(plain, what);
  if (dot == plain.npos || HoldsSource(plain)) {
    return format::ParseFunctionEntry(fmt::format("{}:{}", plain, plain.substr(dot + 1)),
                                      what);  // npos + 1 == 0
  }
  plain[dot] = ':';
  return format::ParseFunctionEntry(plain, what);
}

// Whether "a.b" is a module or package below one of the paths.
bool Recogniser::HoldsSource(const std::string& module) const {
  std::string path = module;
  std::ranges::replace(path, '.', '/');
  return std::ranges::any_of(manifest_.paths, [&](const std::string& directory) {
    std::string full = JoinPath(directory, path);
    return IsFile(tree_, full + ".py") || IsDirectory(tree_, full);
  });
}

// A console script of any distribution on the path, else a file of their bin directories.
Result<> Recogniser::FindEntryScript(const std::string& name) {
  for (const std::string& directory : manifest_.paths) {
    const EntryPoints points = TRY(EntryPoints::Find(tree_, directory));
    if (!points.Has(name)) continue;
    manifest_.entry = TRY(points.ConsoleScript(name));
    return {};
  }
  for (const std::string& directory : manifest_.paths) {
    for (std::string_view bin : kScriptDirectories) {
      const std::string path = JoinPath(JoinPath(directory, bin), name);
      if (name.find('/') != name.npos || !IsFile(tree_, path)) continue;
      manifest_.entry = TRY(ScriptEntry(tree_, path));
      manifest_.entry.script = name;
      return {};
    }
  }
  info_.obstacle =
      fmt::format("its script {} is neither a console script nor in a bin directory", Quoted(name));
  return {};
}

// Of several with one name the first on the path counts.
Result<> Recogniser::ListAllScripts() {
  std::map<std::string, format::Entry> scripts;
  for (const std::string& directory : manifest_.paths) {
    for (format::Entry& entry : TRY(ListScripts(tree_, directory))) {
      scripts.emplace(entry.script, entry);
    }
    if (info_.kind == ArchiveKind::kPex) {
      for (format::Entry& entry : TRY(ListScripts(tree_, JoinPath(directory, ".prefix")))) {
        scripts.emplace(entry.script, entry);
      }
    }
  }
  for (auto& [name, entry] : scripts) manifest_.scripts.push_back(std::move(entry));
  return {};
}

Result<> Recogniser::Pex() {
  info_.kind = ArchiveKind::kPex;
  info_.tool_files = {std::string(kMain), std::string(kPexInfo), ".bootstrap", std::string(kDeps),
                      "__pex__"};
  const std::string what = What(kPexInfo);
  Json json = TRY(Description(kPexInfo));
  PexPaths(json);
  TRY(PexInjections(json));
  // pex hides the host's packages unless it is told to inherit them.
  std::string inherit = TRY(Text(json, "inherit_path", what));
  manifest_.isolated = inherit.empty() || inherit == "false";
  std::string entry_point = TRY(Text(json, "entry_point", what));
  std::string script = TRY(Text(json, "script", what));
  if (!entry_point.empty()) {
    const std::string entry_what = what + ": entry_point";
    bool function = entry_point.find(':') != entry_point.npos;
    manifest_.entry = TRY(function ? format::ParseFunctionEntry(entry_point, entry_what)
                                   : format::ParseModuleEntry(entry_point, entry_what));
  } else if (!script.empty()) {
    if (info_.obstacle.empty()) TRY(FindEntryScript(script));
  } else {
    manifest_.entry.kind = EntryKind::kInterpreter;
  }
  return {};
}

// The root, then each distribution: a directory that is a site-packages of its own. A distribution
// that is a wheel file, unpacked by pex at the first start, cannot be imported from.
void Recogniser::PexPaths(const Json& json) {
  manifest_.paths = {""};
  const TreeNode* deps = tree_.Find(kDeps);
  if (deps != nullptr && deps->directory() != nullptr) {
    for (const auto& [name, node] : deps->directory()->children) {
      std::string path = JoinPath(kDeps, name);
      if (node->directory() != nullptr) {
        info_.spread.emplace_back(path + "/.prefix", "");
        manifest_.paths.push_back(path);
        WheelData(path);
      } else if (info_.obstacle.empty()) {
        info_.obstacle = fmt::format(
            "its distribution {} is packed once more; build it again with pex "
            "--pre-install-wheels",
            Quoted(path));
      }
    }
  }
  auto pex_path = json.find("pex_path");
  if (info_.obstacle.empty() && pex_path != json.end() && pex_path->is_string() &&
      !pex_path->get_ref<const std::string&>().empty()) {
    info_.obstacle = "it needs other pex files: " + Quoted(pex_path->get<std::string>());
  }
}

Result<> Recogniser::PexInjections(const Json& json) {
  auto wrong = [&](std::string_view member) {
    return Failure(
        Error::Corrupt(fmt::format("{}: {} is not of its type", What(kPexInfo), member)));
  };
  if (auto args = json.find("inject_args"); args != json.end() && !args->is_null()) {
    if (!args->is_array()) return wrong("inject_args");
    for (const Json& arg : *args) {
      if (!arg.is_string()) return wrong("inject_args");
      manifest_.arguments.push_back(arg.get<std::string>());
    }
  }
  if (auto env = json.find("inject_env"); env != json.end() && !env->is_null()) {
    if (!env->is_object()) return wrong("inject_env");
    for (const auto& [name, value] : env->items()) {
      if (!value.is_string()) return wrong("inject_env");
      manifest_.environment.push_back({name, value.get<std::string>()});
    }
  }
  return {};
}

// A wheel as an installer spreads it: the root, and the library directories of NAME.data. Has
// nothing to run by itself.
void Recogniser::Wheel() {
  manifest_.paths = {""};
  for (const auto& [name, node] : tree_.root().directory()->children) {
    if (node->directory() == nullptr || !name.ends_with(".dist-info")) continue;
    if (!IsFile(tree_, JoinPath(name, "WHEEL"))) continue;
    info_.kind = ArchiveKind::kWheel;
    WheelData("");
    return;
  }
}

// The NAME.data directories of the wheel at `root`.
void Recogniser::WheelData(const std::string& root) {
  for (const auto& [name, node] : tree_.Find(root)->directory()->children) {
    if (node->directory() == nullptr || !name.ends_with(".data")) continue;
    const std::string data = JoinPath(root, name);
    for (std::string_view part : {"purelib", "platlib"}) {
      std::string path = JoinPath(data, part);
      if (IsDirectory(tree_, path)) manifest_.paths.push_back(path);
    }
    info_.tool_files.push_back(data);
    info_.spread.emplace_back(data + "/scripts", "bin");
    info_.spread.emplace_back(data + "/data", "");
  }
}

bool IsBelow(std::string_view path, std::string_view directory) {
  return directory.empty() || (path.size() > directory.size() && path.starts_with(directory) &&
                               path[directory.size()] == '/');
}

}  // namespace

std::string_view NameOf(ArchiveKind kind) {
  switch (kind) {
    case ArchiveKind::kShiv:
      return "shiv";
    case ArchiveKind::kPex:
      return "pex";
    case ArchiveKind::kZipapp:
      return "zipapp";
    case ArchiveKind::kWheel:
      return "wheel";
    case ArchiveKind::kPlain:
      break;
  }
  return "zip";
}

std::optional<std::string> ArchiveInfo::InSitePackages(std::string_view path) const {
  // The longest of the paths it is below: ".deps/x.whl" is in the root as well.
  const std::string* best = nullptr;
  for (const std::string& directory : manifest.paths) {
    if (IsBelow(path, directory) && (best == nullptr || directory.size() > best->size()))
      best = &directory;
  }
  // What installers put elsewhere: scripts and data of a wheel, and those of a distribution in a
  // pex.
  for (const auto& [from, to] : spread) {
    if (IsBelow(path, from) && (best == nullptr || from.size() > best->size()))
      return JoinPath(to, path.substr(from.size() + 1));
  }
  if (best == nullptr) return std::nullopt;
  bool is_tools = std::ranges::any_of(tool_files, [&](const std::string& file) {
    return file.size() > best->size() && (path == file || IsBelow(path, file));
  });
  if (is_tools) return std::nullopt;
  return std::string(path.substr(best->empty() ? 0 : best->size() + 1));
}

Result<ArchiveInfo> Recognise(const Tree& tree, const std::string& file) {
  return Recogniser(tree, file).Run();
}

}  // namespace haft
