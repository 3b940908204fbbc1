#include "haft/python/entry_points.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "haft/base/edit_distance.h"
#include "haft/base/path.h"
#include "haft/base/text.h"

namespace haft {
namespace {

constexpr std::uint64_t kMaxTextSize = 16u << 20;

// The lines of a text file, trimmed.
std::vector<std::string_view> TrimmedLines(std::string_view text) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  std::vector<std::string_view> lines = Lines(text);
  for (std::string_view& line : lines) line = Trim(line);
  return lines;
}

Result<std::string> ReadText(const TreeNode::File& file) {
  if (file.size > kMaxTextSize) {
    return Failure(Error::Invalid(
        fmt::format("{}: larger than {} bytes", Quoted(file.source.origin()), kMaxTextSize)));
  }
  return ReadSource(file.source, file.size);
}

// "module:attribute" without spaces and extras.
std::string Normalized(std::string_view target) {
  std::string text;
  for (char c : target.substr(0, target.find('['))) {
    if (c != ' ' && c != '\t') text += c;
  }
  return text;
}

// Whether `name` ends in the suffix of an extension module: "_x.cpython-311-x86_64-linux-gnu.so".
bool IsModuleFile(std::string_view name, std::string_view module) {
  if (!name.starts_with(module)) return false;
  name.remove_prefix(module.size());
  return name == ".py" || name == ".pyc" || (name.starts_with('.') && name.ends_with(".so"));
}

bool DirectoryHolds(const TreeNode& node, const std::string& top) {
  const TreeNode::Children& children = node.directory()->children;
  // Names that begin with `top` are neighbours.
  for (auto child = children.lower_bound(top);
       child != children.end() && child->first.starts_with(top); ++child) {
    bool is_directory = child->second->directory() != nullptr;
    if (child->first == top && (is_directory || child->second->symlink() != nullptr)) return true;
    if (!is_directory && IsModuleFile(child->first, top)) return true;
  }
  return false;
}

// What the distribution `name` of a site-packages directory says of itself; null: it is none.
const TreeNode* MetadataOf(std::string_view name, const TreeNode& child) {
  if (child.directory() == nullptr) return nullptr;
  if (name.ends_with(".dist-info") || name.ends_with(".egg-info")) return &child;
  if (!name.ends_with(".egg")) return nullptr;
  const TreeNode::Children& egg = child.directory()->children;
  auto found = egg.find("EGG-INFO");
  return found == egg.end() || found->second->directory() == nullptr ? nullptr
                                                                     : found->second.get();
}

}  // namespace

std::vector<ScriptLine> ParseScripts(std::string_view text) {
  std::vector<ScriptLine> scripts;
  bool inside = false;
  for (std::string_view line : TrimmedLines(text)) {
    if (line.empty() || line[0] == '#' || line[0] == ';') continue;
    if (line[0] == '[') {
      const std::string_view section = Trim(SplitOnce(line.substr(1), ']').first);
      inside = line.ends_with(']') && (section == "console_scripts" || section == "gui_scripts");
      continue;
    }
    std::size_t equals = line.find('=');
    if (!inside || equals == line.npos || equals == 0) continue;
    scripts.push_back(
        {std::string(Trim(line.substr(0, equals))), std::string(Trim(line.substr(equals + 1)))});
  }
  return scripts;
}

Result<EntryPoints> EntryPoints::Find(const Tree& tree, std::string_view directory) {
  EntryPoints points;
  const TreeNode* node = tree.Find(directory);
  if (node == nullptr || node->directory() == nullptr) return points;
  for (const auto& [name, child] : node->directory()->children) {
    const TreeNode* metadata = MetadataOf(name, *child);
    if (metadata == nullptr) continue;
    const TreeNode::Children& members = metadata->directory()->children;
    auto found = members.find("entry_points.txt");
    if (found == members.end() || found->second->file() == nullptr) continue;
    const TreeNode::File& file = *found->second->file();
    for (ScriptLine& line : ParseScripts(TRY(ReadText(file)))) {
      points.scripts_.emplace(std::move(line.name),
                              Definition{std::move(line.target), file.source.origin()});
    }
  }
  return points;
}

Result<format::Entry> EntryPoints::ConsoleScript(const std::string& name) const {
  auto [begin, end] = scripts_.equal_range(name);
  if (begin == end) return Failure(Unknown(name));
  const Definition& first = begin->second;
  for (auto other = begin; other != end; ++other) {
    if (Normalized(other->second.target) == Normalized(first.target)) continue;
    return Failure(Error::Invalid(fmt::format("console script {}: {} and {} define it differently",
                                              Quoted(name), Quoted(first.origin),
                                              Quoted(other->second.origin)))
                       .Remedy("choose one with -e MODULE:FUNCTION"));
  }
  format::Entry entry = TRY(format::ParseFunctionEntry(
      Normalized(first.target),
      fmt::format("console script {} in {}", Quoted(name), Quoted(first.origin))));
  entry.script = name;
  return entry;
}

std::vector<std::string> EntryPoints::Names() const {
  std::vector<std::string> names;
  for (const auto& [name, definition] : scripts_) {
    if (names.empty() || names.back() != name) names.push_back(name);
  }
  return names;
}

Error EntryPoints::Unknown(const std::string& name) const {
  const std::vector<std::string> names = Names();
  const std::vector<std::string_view> known(names.begin(), names.end());
  if (known.empty()) {
    return Error::Invalid(
               fmt::format("console script {}: the inputs define no console scripts", Quoted(name)))
        .Remedy("use -e MODULE:FUNCTION or -m MODULE");
  }
  Error error = Error::Invalid(fmt::format("console script {}: not in the inputs, which define {}",
                                           Quoted(name), Listed(known)));
  if (auto nearest = Nearest(name, known)) {
    return std::move(error).Remedy(fmt::format("did you mean {}?", Quoted(*nearest)));
  }
  return error;
}

Result<bool> HoldsModule(const Tree& tree, std::string_view directory, std::string_view module) {
  const std::string top(module.substr(0, module.find('.')));
  const TreeNode* node = tree.Find(directory);
  if (node == nullptr || node->directory() == nullptr) return false;
  if (DirectoryHolds(*node, top)) return true;
  for (const auto& [name, child] : node->directory()->children) {
    if (!name.ends_with(".pth") || child->file() == nullptr) continue;
    std::string text = TRY(ReadText(*child->file()));
    for (std::string_view line : TrimmedLines(text)) {
      if (line.empty() || line[0] == '#' || line.starts_with("import ")) continue;
      while (line.starts_with("./")) line.remove_prefix(2);
      while (line.ends_with('/')) line.remove_suffix(1);
      // What lies outside of the tree cannot be judged here.
      const TreeNode* added = tree.Find(JoinPath(directory, line));
      if (added == nullptr || (added->directory() != nullptr && DirectoryHolds(*added, top)))
        return true;
    }
  }
  return false;
}

bool HoldsModuleFile(const Tree& tree, std::string_view directory, std::string_view module) {
  std::string path(directory);
  for (std::size_t dot = module.find('.'); dot != module.npos; dot = module.find('.')) {
    path = JoinPath(path, module.substr(0, dot));
    module.remove_prefix(dot + 1);
  }
  const TreeNode* node = tree.Find(path);
  return node != nullptr && node->directory() != nullptr &&
         DirectoryHolds(*node, std::string(module));
}

}  // namespace haft
