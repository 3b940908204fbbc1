#include "haft/format/manifest.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace haft::format {
namespace {

// Insertion order, so that the same manifest always gives the same bytes.
using Json = nlohmann::ordered_json;

constexpr std::string_view kNameCharacters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";

Error Wrong(std::string_view member) {
  return Error::Corrupt(fmt::format("manifest: {} is missing or not of its type", member));
}

Result<std::string> String(const Json& object, const char* member) {
  auto found = object.find(member);
  if (found == object.end() || !found->is_string()) return Failure(Wrong(member));
  return found->get<std::string>();
}

std::string OptionalString(const Json& object, const char* member) {
  return String(object, member).value_or("");
}

Result<Entry> ParseEntry(const Json& json) {
  auto found = json.find("entry");
  if (found == json.end()) return Entry{};
  if (!found->is_object()) return Failure(Wrong("entry"));
  // Not in the braces of an initializer: compilers forget the members made so far when TRY returns.
  Entry entry;
  entry.module = TRY(String(*found, "module"));
  entry.function = OptionalString(*found, "function");
  entry.script = OptionalString(*found, "script");
  std::string kind = TRY(String(*found, "kind"));
  if (kind == "module") {
    entry.kind = EntryKind::kModule;
  } else if (kind == "function") {
    if (entry.function.empty()) return Failure(Wrong("function"));
    entry.kind = EntryKind::kFunction;
  } else {
    return Failure(Error(ErrorKind::kUnsupported,
                         fmt::format("manifest: entry kind {} is unknown", Quoted(kind))));
  }
  return entry;
}

}  // namespace

std::string ToJson(const Manifest& manifest) {
  Json json = {{"name", manifest.name}, {"mount", manifest.mount}};
  if (manifest.entry.kind != EntryKind::kNone) {
    bool function = manifest.entry.kind == EntryKind::kFunction;
    Json entry = {{"kind", function ? "function" : "module"}, {"module", manifest.entry.module}};
    if (function) entry["function"] = manifest.entry.function;
    if (!manifest.entry.script.empty()) entry["script"] = manifest.entry.script;
    json["entry"] = entry;
  }
  json["python"] = {{"path", manifest.python.path},
                    {"version", manifest.python.version},
                    {"tag", manifest.python.tag},
                    {"soabi", manifest.python.soabi}};
  json["paths"] = manifest.paths;
  json["builder"] = manifest.builder;
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<Manifest> ParseManifest(std::string_view text) {
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return Failure(Error::Corrupt("manifest: not a JSON object"));
  Manifest manifest;
  manifest.name = TRY(String(json, "name"));
  manifest.mount = TRY(String(json, "mount"));
  manifest.entry = TRY(ParseEntry(json));
  manifest.builder = OptionalString(json, "builder");
  if (!IsBundleName(manifest.name)) return Failure(Wrong("name"));
  if (!IsMountPath(manifest.mount)) return Failure(Wrong("mount"));
  if (auto python = json.find("python"); python != json.end() && python->is_object()) {
    manifest.python = {.path = OptionalString(*python, "path"),
                       .version = OptionalString(*python, "version"),
                       .tag = OptionalString(*python, "tag"),
                       .soabi = OptionalString(*python, "soabi")};
    // It gets executed: a relative one would be looked for in the working directory.
    const std::string& path = manifest.python.path;
    if (!path.empty() && (path[0] != '/' || path.find('\0') != path.npos)) return Failure(Wrong("python.path"));
  }
  auto paths = json.find("paths");
  if (paths == json.end() || !paths->is_array()) return Failure(Wrong("paths"));
  for (const Json& path : *paths) {
    if (!path.is_string()) return Failure(Wrong("paths"));
    manifest.paths.push_back(path.get<std::string>());
    // They end up in a colon-separated variable, behind the mount path.
    if (!IsMountPath("/" + manifest.paths.back())) return Failure(Wrong("paths"));
  }
  return manifest;
}

bool IsBundleName(std::string_view name) {
  return !name.empty() && name.size() <= 64 && name[0] != '.' && name[0] != '-' &&
         name.find_first_not_of(kNameCharacters) == name.npos;
}

bool IsMountPath(std::string_view path) {
  if (path.size() < 2 || path.size() > 1024 || path[0] != '/') return false;
  while (!path.empty()) {
    path.remove_prefix(1);
    std::string_view component = path.substr(0, path.find('/'));
    if (component.empty() || component == "." || component == "..") return false;
    if (component.find_first_not_of(kNameCharacters) != component.npos) return false;
    path.remove_prefix(component.size());
  }
  return true;
}

std::string Describe(const Entry& entry) {
  switch (entry.kind) {
    case EntryKind::kNone: return "none";
    case EntryKind::kModule: return "-m " + entry.module;
    case EntryKind::kFunction: break;
  }
  std::string target = fmt::format("{}:{}", entry.module, entry.function);
  return entry.script.empty() ? target : fmt::format("{} ({})", entry.script, target);
}

}  // namespace haft::format
