#include "import_index.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "haft/base/path.h"
#include "haft/format/image_paths.h"
#include "haft/format/layout.h"

namespace haft {
namespace {

constexpr std::string_view kMagic = "haftmod1";
constexpr std::size_t kPycHeader = 16;
constexpr std::uint64_t kMaxIndexSize = 1u << 30;

// What the table says of one module.
struct Module {
  std::uint32_t offset;  // of its .pyc in the index, behind the table
  std::uint32_t size;
  bool is_package;
};

// By directory, then by name without the packages it is in.
using Table = std::map<std::string, std::map<std::string, Module>>;

// Writes the few kinds of values a table needs as Python's marshal has them since version 3.0.
class Marshal {
 public:
  void Dict(const Table& table) {
    bytes_ += '{';
    for (const auto& [directory, modules] : table) {
      Text(directory);
      bytes_ += '{';
      for (const auto& [name, module] : modules) {
        Text(name);
        bytes_ += '(';
        Number(3);
        bytes_ += 'i';
        Number(module.offset);
        bytes_ += 'i';
        Number(module.size);
        bytes_ += module.is_package ? 'T' : 'F';
      }
      bytes_ += '0';
    }
    bytes_ += '0';
  }
  std::string Take() && { return std::move(bytes_); }

 private:
  void Text(std::string_view text) {
    bytes_ += 'u';
    Number(static_cast<std::uint32_t>(text.size()));
    bytes_ += text;
  }
  void Number(std::uint32_t number) {
    for (int shift = 0; shift < 32; shift += 8) bytes_ += static_cast<char>(number >> shift);
  }

  std::string bytes_;
};

// DIR/__pycache__/NAME.TAG.pyc taken apart.
struct CachedPath {
  std::string directory;
  std::string name;
};

std::optional<CachedPath> ParseCachedPath(std::string_view path, std::string_view tag) {
  const std::string suffix = fmt::format(".{}.pyc", tag);
  constexpr std::string_view kCache = "/__pycache__/";
  std::size_t cache = path.rfind(kCache);
  if (cache == path.npos || !path.ends_with(suffix)) return std::nullopt;
  std::string_view name = path.substr(cache + kCache.size());
  name.remove_suffix(suffix.size());
  if (name.empty() || name.find('/') != name.npos || name.find('.') != name.npos)
    return std::nullopt;
  return CachedPath{std::string(path.substr(0, cache)), std::string(name)};
}

// Whether `directory` has something that import would take instead of NAME.py.
bool IsHidden(const TreeNode::Directory& directory, const std::string& name) {
  const std::string prefix = name + ".";
  for (auto i = directory.children.lower_bound(prefix); i != directory.children.end(); ++i) {
    if (!i->first.starts_with(prefix)) break;
    if (i->first.ends_with(".so")) return true;
  }
  auto package = directory.children.find(name);
  if (package == directory.children.end()) return false;
  const TreeNode::Directory* inside = package->second->directory();
  if (inside == nullptr) return package->second->symlink() != nullptr;  // may lead to a package
  auto init = inside->children.lower_bound("__init__.");
  return init != inside->children.end() && init->first.starts_with("__init__.");
}

class IndexMaker {
 public:
  IndexMaker(Tree& tree, std::string_view tag) : tree_(tree), tag_(tag) {}

  Result<> Add(const std::string& path) {
    std::optional<CachedPath> place = ParseCachedPath(path, tag_);
    if (!place) return {};
    TreeNode* directory = tree_.Find(place->directory);
    const TreeNode* source = tree_.Find(JoinPath(place->directory, place->name + ".py"));
    TreeNode* cached = tree_.Find(path);
    if (directory == nullptr || directory->directory() == nullptr || cached == nullptr ||
        cached->file() == nullptr || source == nullptr || source->file() == nullptr) {
      return {};
    }
    if (IsHidden(*directory->directory(), place->name)) return {};
    const TreeNode::File& file = *cached->file();
    if (file.size <= kPycHeader || bytes_.size() + file.size > kMaxIndexSize) return {};
    const std::string pyc = TRY(ReadSource(file.source, file.size));
    // Only what no Python compares with its source: the flags of PEP 552 are 1.
    if (pyc.substr(4, 4) != std::string_view("\1\0\0\0", 4)) return {};
    const std::string magic = pyc.substr(0, 4);
    if (magic_.empty()) magic_ = magic;
    if (magic != magic_) return {};
    TRY(AddModule(*place, pyc, file));
    return {};
  }

  // None if there is no module to serve.
  Result<std::vector<ContentPart>> Finish() {
    std::vector<ContentPart> parts;
    if (table_.empty()) return parts;
    Marshal marshal;
    marshal.Dict(table_);
    const std::string table = std::move(marshal).Take();
    std::string text(kMagic);
    text += magic_;
    for (int shift = 0; shift < 32; shift += 8) text += static_cast<char>(table.size() >> shift);
    text += table;
    const std::uint64_t start = text.size();
    text += bytes_;
    TRY(tree_.AddText(format::kImportIndexPath, std::move(text)));
    const TreeNode::File* whole = tree_.Find(format::kImportIndexPath)->file();
    for (const auto& [file, offset] : files_) parts.push_back({file, whole, start + offset});
    return parts;
  }

 private:
  Result<> AddModule(const CachedPath& place, const std::string& pyc, const TreeNode::File& file) {
    const bool is_package = place.name == "__init__";
    std::string directory = place.directory, name = place.name;
    if (is_package) {
      if (!directory.contains('/')) return {};
      name = BaseName(directory);
      directory.resize(DirName(directory).size());
      // An extension module of the same name beside the package is only looked at after it.
    }
    Module module{static_cast<std::uint32_t>(bytes_.size()), static_cast<std::uint32_t>(pyc.size()),
                  is_package};
    auto [there, added] = table_[directory].emplace(name, module);
    if (!added) return {};
    bytes_ += pyc;
    files_.emplace_back(&file, module.offset);
    return {};
  }

  Tree& tree_;
  const std::string tag_;
  std::string magic_;  // of the interpreter, from the first .pyc
  Table table_;
  std::string bytes_;  // the .pyc files, one after another
  std::vector<std::pair<const TreeNode::File*, std::uint64_t>> files_;
};

}  // namespace

Result<std::vector<ContentPart>> AddImportIndex(Tree& tree, const format::Profile& profile,
                                                std::string_view python_tag) {
  IndexMaker maker(tree, python_tag);
  for (const std::string& path : profile.files) TRY(maker.Add(path));
  return maker.Finish();
}

}  // namespace haft
