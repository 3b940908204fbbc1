#include "haft/pack/bootstrap.h"

#include <fmt/format.h>

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
template <typename... Texts>
std::string PythonTuple(const Texts&... texts) {
  std::string tuple = "(";
  ((tuple += PythonLiteral(texts) + ", "), ...);
  return tuple += ")";
}

std::string EntryTuple(const format::Entry& entry) {
  switch (entry.kind) {
    case format::EntryKind::kFunction:
      return PythonTuple("function", entry.module, entry.function);
    case format::EntryKind::kModule:
      return PythonTuple("module", entry.module);
    case format::EntryKind::kNone:
      break;
  }
  return "None";
}

}  // namespace

std::string BundleModule(const format::Manifest& manifest) {
  std::string paths;
  for (const std::string& path : manifest.paths) paths += PythonLiteral(path) + ", ";
  return fmt::format(
      "\"\"\"Facts about this bundle; written by haft build.\"\"\"\n"
      "NAME = {}\n"
      "ENTRY = {}\n"
      "PYTHON_TAG = {}\n"
      "PYTHON_VERSION = {}\n"
      "PATHS = ({})\n",
      PythonLiteral(manifest.name), EntryTuple(manifest.entry), PythonLiteral(manifest.python.tag),
      PythonLiteral(manifest.python.version), paths);
}

Result<> AddBootstrap(Tree& tree, std::span<const EmbeddedFile> files,
                      const format::Manifest& manifest) {
  std::string_view parent = kBootstrapDirectory.substr(0, kBootstrapDirectory.rfind('/'));
  TRY(tree.AddDirectory(parent, kGeneratedDirectory, "haft"));
  TRY(tree.AddDirectory(kBootstrapDirectory, kGeneratedDirectory, "haft"));
  for (const EmbeddedFile& file : files) {
    TRY(tree.AddText(JoinPath(kBootstrapDirectory, file.name), std::string(file.bytes)));
  }
  return tree.AddText(JoinPath(kBootstrapDirectory, "_haft_bundle.py"), BundleModule(manifest));
}

}  // namespace haft
