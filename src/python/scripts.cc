#include "haft/python/scripts.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <span>

#include "haft/base/path.h"
#include "haft/base/text.h"
#include "haft/python/entry_points.h"
#include "haft/python/shebang.h"

namespace haft {
namespace {

constexpr std::string_view kScriptDirectory = "bin";

// The file, or the one a link in the same directory leads to; null if there is none.
const TreeNode::File* FileAt(const Tree& tree, const std::string& path, std::uint32_t& mode) {
  const TreeNode* node = tree.Find(path);
  if (node != nullptr && node->symlink() != nullptr) {
    const std::string& target = node->symlink()->target;
    if (target.find('/') != target.npos) return nullptr;
    node = tree.Find(JoinPath(DirName(path), target));
  }
  if (node == nullptr || node->file() == nullptr) return nullptr;
  mode = node->attributes.mode;
  return node->file();
}

// The front of a file; "" of one so long that it is a program: in an archive all of it would be
// decoded.
Result<std::string> FirstLines(const TreeNode::File& file) {
  constexpr std::uint64_t kLongestScript = 1u << 20;
  if (file.size > kLongestScript) return "";
  std::string text(std::min<std::uint64_t>(file.size, 4096), '\0');
  FileReader reader = TRY(FileReader::Open(file.source, file.size));
  TRY(reader.Read(0, std::as_writable_bytes(std::span(text))));
  return text;
}

// UTF-8 without control characters.
bool IsPrintable(std::string_view name) {
  return Quoted(name) == fmt::format("'{}'", name);
}

}  // namespace

Result<format::Entry> ScriptEntry(const Tree& tree, const std::string& path) {
  format::Entry entry{
      .kind = format::EntryKind::kScript, .module = "", .function = "", .script = "", .file = path};
  std::uint32_t mode = 0;
  const TreeNode::File* file = FileAt(tree, path, mode);
  if (file == nullptr || !format::IsImagePath(path))
    return Failure(Error::Invalid(fmt::format("{}: is no file", Quoted(path))));
  if (!IsPrintable(path))
    return Failure(Error::Invalid(fmt::format("{}: its name is not UTF-8", Quoted(path))));
  entry.python = path.ends_with(".py") || NamesPython(TRY(FirstLines(*file)));
  if (!entry.python && (mode & 0111) == 0) {
    return Failure(Error::Invalid(fmt::format("{}: is neither Python nor executable",
                                              Quoted(file->source.origin())))
                       .Remedy("chmod +x it"));
  }
  return entry;
}

Result<format::Entry> FindScript(const Tree& tree, std::string_view directory,
                                 const std::string& name) {
  const EntryPoints points = TRY(EntryPoints::Find(tree, directory));
  const std::string path = JoinPath(JoinPath(directory, kScriptDirectory), name);
  if (points.Has(name) || name.find('/') != name.npos || tree.Find(path) == nullptr)
    return points.ConsoleScript(name);
  format::Entry entry = TRY(ScriptEntry(tree, path));
  entry.script = name;
  return entry;
}

Result<std::vector<format::Entry>> ListScripts(const Tree& tree, std::string_view directory) {
  std::map<std::string, format::Entry> scripts;
  const EntryPoints points = TRY(EntryPoints::Find(tree, directory));
  for (const std::string& name : points.Names()) {
    auto entry = points.ConsoleScript(name);
    if (entry) scripts.emplace(name, *std::move(entry));
  }
  const std::string bin = JoinPath(directory, kScriptDirectory);
  const TreeNode* node = tree.Find(bin);
  if (node != nullptr && node->directory() != nullptr) {
    for (const auto& [name, child] : node->directory()->children) {
      if (scripts.contains(name) || points.Has(name)) continue;
      auto entry = ScriptEntry(tree, JoinPath(bin, name));
      if (!entry) continue;
      entry->script = name;
      scripts.emplace(name, *std::move(entry));
    }
  }
  std::vector<format::Entry> list;
  for (auto& [name, entry] : scripts) list.push_back(std::move(entry));
  return list;
}

}  // namespace haft
