#include "haft/format/manifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "haft/format/json.h"

namespace haft::format {
namespace {

using Json = nlohmann::json;
// Insertion order, so that the same manifest always gives the same bytes. Not for reading: finding
// a member takes time in proportion to their number.
using OrderedJson = nlohmann::ordered_json;

constexpr std::string_view kNameCharacters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
// By EntryKind; kNone is never written.
constexpr std::array<std::string_view, 5> kKinds = {"", "function", "module", "script",
                                                    "interpreter"};

Error Wrong(std::string_view member) {
  return Error::Corrupt(fmt::format("manifest: {} is missing or not of its type", member));
}

Result<std::string> String(const Json& object, const char* member) {
  auto found = object.find(member);
  if (found == object.end() || !found->is_string()) return Failure(Wrong(member));
  return found->get<std::string>();
}

// "" if it is not there.
Result<std::string> OptionalString(const Json& object, const char* member) {
  return object.contains(member) ? String(object, member) : std::string();
}

Result<bool> OptionalBool(const Json& object, const char* member) {
  auto found = object.find(member);
  if (found == object.end()) return false;
  if (!found->is_boolean()) return Failure(Wrong(member));
  return found->get<bool>();
}

// Arguments and variables are C strings: a zero byte would cut one off, so it is refused.
Result<std::vector<std::string>> Strings(const Json& object, const char* member) {
  std::vector<std::string> strings;
  auto found = object.find(member);
  if (found == object.end()) return strings;
  if (!found->is_array()) return Failure(Wrong(member));
  for (const Json& element : *found) {
    if (!element.is_string()) return Failure(Wrong(member));
    strings.push_back(element.get<std::string>());
    if (strings.back().find('\0') != std::string::npos) return Failure(Wrong(member));
  }
  return strings;
}

// An array of ["NAME", "value"].
Result<std::vector<Variable>> Variables(const Json& object, const char* member) {
  std::vector<Variable> variables;
  auto found = object.find(member);
  if (found == object.end()) return variables;
  if (!found->is_array()) return Failure(Wrong(member));
  for (const Json& pair : *found) {
    if (!pair.is_array() || pair.size() != 2 || !pair[0].is_string() || !pair[1].is_string())
      return Failure(Wrong(member));
    variables.push_back({pair[0].get<std::string>(), pair[1].get<std::string>()});
    const Variable& variable = variables.back();
    if (!IsVariableName(variable.name) || variable.value.find('\0') != std::string::npos)
      return Failure(Wrong(member));
  }
  return variables;
}

Result<Entry> ParseEntry(const Json& json) {
  // Not in the braces of an initializer: compilers forget the members made so far when TRY returns.
  Entry entry;
  if (!json.is_object()) return Failure(Wrong("entry"));
  std::string kind = TRY(String(json, "kind"));
  auto found = std::ranges::find(kKinds, kind);
  if (kind.empty() || found == kKinds.end()) {
    return Failure(Error(ErrorKind::kUnsupported,
                         fmt::format("manifest: entry kind {} is unknown", Quoted(kind))));
  }
  entry.kind = static_cast<EntryKind>(found - kKinds.begin());
  entry.script = TRY(OptionalString(json, "script"));
  if (entry.kind == EntryKind::kFunction || entry.kind == EntryKind::kModule) {
    entry.module = TRY(String(json, "module"));
    if (entry.module.find('\0') != std::string::npos) return Failure(Wrong("module"));
  }
  if (entry.kind == EntryKind::kFunction) {
    entry.function = TRY(String(json, "function"));
    if (entry.function.empty() || entry.function.find('\0') != std::string::npos)
      return Failure(Wrong("function"));
  }
  if (entry.kind == EntryKind::kScript) {
    entry.file = TRY(String(json, "file"));
    entry.python = TRY(OptionalBool(json, "python"));
    if (!IsImagePath(entry.file)) return Failure(Wrong("file"));
  }
  return entry;
}

Result<std::vector<Entry>> ParseScripts(const Json& json) {
  std::vector<Entry> scripts;
  auto found = json.find("scripts");
  if (found == json.end()) return scripts;
  if (!found->is_array()) return Failure(Wrong("scripts"));
  for (const Json& element : *found) {
    scripts.push_back(TRY(ParseEntry(element)));
    if (scripts.back().script.empty()) return Failure(Wrong("script"));
  }
  return scripts;
}

Result<PythonTarget> ParsePython(const Json& json) {
  PythonTarget python;
  auto found = json.find("python");
  if (found == json.end() || !found->is_object()) return python;
  python.path = TRY(OptionalString(*found, "path"));
  python.version = TRY(OptionalString(*found, "version"));
  python.tag = TRY(OptionalString(*found, "tag"));
  python.soabi = TRY(OptionalString(*found, "soabi"));
  // It gets executed: never looked for in the working directory, never outside of the image.
  const std::string& path = python.path;
  if (path.empty()) return python;
  if (path.find('\0') != path.npos || (path[0] != '/' && !IsMountPath("/" + path)))
    return Failure(Wrong("python.path"));
  return python;
}

Result<WebApplication> ParseWebApplication(const Json& json) {
  WebApplication web;
  auto found = json.find("web_application");
  if (found == json.end()) return web;
  if (!found->is_object()) return Failure(Wrong("web_application"));
  web.interface = TRY(String(*found, "interface"));
  web.application = TRY(String(*found, "application"));
  web.server = TRY(String(*found, "server"));
  if (web.application.empty()) return Failure(Wrong("application"));
  return web;
}

OrderedJson EntryJson(const Entry& entry) {
  OrderedJson json = {{"kind", kKinds[static_cast<std::size_t>(entry.kind)]}};
  if (!entry.module.empty()) json["module"] = entry.module;
  if (!entry.function.empty()) json["function"] = entry.function;
  if (!entry.file.empty()) json["file"] = entry.file;
  if (entry.python) json["python"] = true;
  if (!entry.script.empty()) json["script"] = entry.script;
  return json;
}

}  // namespace

std::string ToJson(const Manifest& manifest) {
  OrderedJson json = {{"name", manifest.name}, {"mount", manifest.mount}};
  if (manifest.entry.kind != EntryKind::kNone) json["entry"] = EntryJson(manifest.entry);
  for (const Entry& script : manifest.scripts) json["scripts"].push_back(EntryJson(script));
  json["python"] = {{"path", manifest.python.path},
                    {"version", manifest.python.version},
                    {"tag", manifest.python.tag},
                    {"soabi", manifest.python.soabi}};
  json["paths"] = manifest.paths;
  if (!manifest.arguments.empty()) json["arguments"] = manifest.arguments;
  if (!manifest.python_arguments.empty()) json["python_arguments"] = manifest.python_arguments;
  for (const Variable& variable : manifest.environment) {
    json["environment"].push_back(OrderedJson::array({variable.name, variable.value}));
  }
  if (!manifest.unset.empty()) json["unset"] = manifest.unset;
  if (const WebApplication& web = manifest.web; !web.application.empty()) {
    json["web_application"] = {
        {"interface", web.interface}, {"application", web.application}, {"server", web.server}};
  }
  if (manifest.isolated) json["isolated"] = true;
  if (manifest.ignore_environment) json["ignore_environment"] = true;
  if (manifest.multi_call) json["multi_call"] = true;
  if (!manifest.preamble.empty()) json["preamble"] = manifest.preamble;
  if (!manifest.build_id.empty()) json["build_id"] = manifest.build_id;
  json["builder"] = manifest.builder;
  return json.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
}

Result<Manifest> ParseManifest(std::string_view text) {
  const Json json = TRY(ParseJsonObject(text, "manifest"));
  Manifest manifest;
  manifest.name = TRY(String(json, "name"));
  manifest.mount = TRY(String(json, "mount"));
  if (!IsBundleName(manifest.name)) return Failure(Wrong("name"));
  if (!IsMountPath(manifest.mount)) return Failure(Wrong("mount"));
  if (json.contains("entry")) manifest.entry = TRY(ParseEntry(json["entry"]));
  manifest.scripts = TRY(ParseScripts(json));
  manifest.python = TRY(ParsePython(json));
  if (!json.contains("paths")) return Failure(Wrong("paths"));
  manifest.paths = TRY(Strings(json, "paths"));
  for (const std::string& path : manifest.paths) {
    // They end up in a colon-separated variable, behind the mount path.
    if (!path.empty() && !IsMountPath("/" + path)) return Failure(Wrong("paths"));
  }
  manifest.arguments = TRY(Strings(json, "arguments"));
  manifest.python_arguments = TRY(Strings(json, "python_arguments"));
  manifest.environment = TRY(Variables(json, "environment"));
  manifest.unset = TRY(Strings(json, "unset"));
  for (const std::string& name : manifest.unset) {
    if (!IsVariableName(name)) return Failure(Wrong("unset"));
  }
  manifest.web = TRY(ParseWebApplication(json));
  manifest.isolated = TRY(OptionalBool(json, "isolated"));
  manifest.ignore_environment = TRY(OptionalBool(json, "ignore_environment"));
  manifest.multi_call = TRY(OptionalBool(json, "multi_call"));
  manifest.preamble = TRY(OptionalString(json, "preamble"));
  if (!manifest.preamble.empty() && !IsImagePath(manifest.preamble))
    return Failure(Wrong("preamble"));
  manifest.build_id = TRY(OptionalString(json, "build_id"));
  manifest.builder = TRY(OptionalString(json, "builder"));
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

bool IsVariableName(std::string_view name) {
  return !name.empty() && name.find('=') == name.npos && name.find('\0') == name.npos;
}

}  // namespace haft::format
