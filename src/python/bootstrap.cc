#include "haft/python/bootstrap.h"

#include <fmt/format.h>

#include <algorithm>

#include "haft/base/path.h"
#include "haft/format/entry_script.h"
#include "haft/format/image_paths.h"

namespace haft {
namespace {

std::string PythonLiteral(std::string_view text) {
  std::string literal = "'";
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if (c == '\'' || c == '\\') {
      literal += '\\';
      literal += c;
    } else if (byte < 0x20 || byte == 0x7F) {
      literal += fmt::format("\\x{:02x}", byte);
    } else {
      literal += c;  // beyond ASCII as well: sources are UTF-8
    }
  }
  return literal += "'";
}

// A trailing comma even where there are several: for one it makes the tuple.
std::string PythonTuple(const std::vector<std::string>& texts) {
  std::string tuple = "(";
  for (const std::string& text : texts) tuple += PythonLiteral(text) + ", ";
  return tuple += ")";
}

// As pip writes it, so that a program is `__main__` in the same way.
std::string ScriptText(const format::Entry& entry, bool may_serve) {
  const std::string_view function = entry.function;
  return fmt::format(
      "import sys\n"
      "from {} import {}\n"
      "if __name__ == \"__main__\":\n"
      "{}"
      "    sys.exit({}())\n",
      entry.module, function.substr(0, function.find('.')),
      may_serve ? "    if \"_haft\" in sys.modules:\n"
                  "        sys.modules[\"_haft\"].check_server()\n"
                : "",
      function);
}

Result<> AddScripts(Tree& tree, const format::Manifest& manifest) {
  const bool may_serve = std::ranges::any_of(manifest.paths, [&](const std::string& path) {
    return tree.Find(JoinPath(path, "mod_wsgi")) != nullptr;
  });
  std::vector<const format::Entry*> entries = {&manifest.entry};
  for (const format::Entry& script : manifest.scripts) entries.push_back(&script);
  for (const format::Entry* entry : entries) {
    const std::string path = format::ScriptOf(manifest, *entry);
    if (path.empty() || tree.Find(path) != nullptr) continue;
    TRY(tree.AddDirectory(DirName(path), kGeneratedDirectory, "haft"));
    TRY(tree.AddText(path, ScriptText(*entry, may_serve)));
  }
  return {};
}

}  // namespace

std::string BundleModule(const format::Manifest& manifest) {
  const format::WebApplication& web = manifest.web;
  std::string text = fmt::format(
      "\"\"\"Facts about this bundle; written by haft build.\"\"\"\n"
      "NAME = {}\n"
      "BUILD_ID = {}\n"
      "PYTHON = {}\n"
      "PYTHON_TAG = {}\n"
      "PYTHON_SOABI = {}\n"
      "PYTHON_VERSION = {}\n"
      "PYTHON_ARGUMENTS = {}\n"
      "PATHS = {}\n"
      "ISOLATED = {}\n"
      "PREAMBLE = {}\n",
      PythonLiteral(manifest.name), PythonLiteral(manifest.build_id),
      PythonLiteral(manifest.python.path), PythonLiteral(manifest.python.tag),
      PythonLiteral(manifest.python.soabi), PythonLiteral(manifest.python.version),
      PythonTuple(manifest.python_arguments), PythonTuple(manifest.paths),
      manifest.isolated ? "True" : "False", PythonLiteral(manifest.preamble));
  if (!web.application.empty()) {
    text += fmt::format("WEB = {}\n", PythonTuple({web.interface, web.application, web.server}));
  }
  return text;
}

Result<> AddBootstrap(Tree& tree, std::span<const EmbeddedFile> files,
                      const format::Manifest& manifest) {
  std::string_view parent = DirName(format::kBootstrapDirectory);
  TRY(tree.AddDirectory(parent, kGeneratedDirectory, "haft"));
  TRY(tree.AddDirectory(format::kBootstrapDirectory, kGeneratedDirectory, "haft"));
  if (!manifest.web.application.empty())
    TRY(tree.AddDirectory(format::kRuntimeDirectory, kGeneratedDirectory, "haft"));
  TRY(AddBootstrapFiles(tree, files));
  TRY(AddScripts(tree, manifest));
  return tree.AddText(JoinPath(format::kBootstrapDirectory, "_haft_bundle.py"),
                      BundleModule(manifest));
}

Result<> AddBootstrapFiles(Tree& tree, std::span<const EmbeddedFile> files) {
  for (const EmbeddedFile& file : files) {
    TRY(tree.AddText(JoinPath(format::kBootstrapDirectory, file.name), std::string(file.bytes)));
  }
  return {};
}

}  // namespace haft
