#include "import_index.h"

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_set>
#include <utility>

#include "haft/base/path.h"
#include "haft/format/image_paths.h"
#include "haft/format/layout.h"

namespace haft {
namespace {

constexpr std::string_view kMagic = "haftmod2";
constexpr std::size_t kPycHeader = 16;
// Of each file. Held in memory while the image is built.
constexpr std::uint64_t kMaxIndexSize = 256u << 20;

// What a table says of one module.
struct Module {
  std::uint32_t file;    // 0: modules.index, 1: modules.rest
  std::uint32_t offset;  // of its .pyc, behind the tables of that file
  std::uint32_t size;
  bool is_package;
};

// The modules of one directory, by name without the packages they are in.
using Table = std::map<std::string, Module>;

void AppendNumber(std::string& bytes, std::uint64_t number) {
  for (int shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(number >> shift);
}

// As Python's marshal has it since version 3.0: a dictionary of tuples.
std::string ToMarshal(const Table& table) {
  std::string bytes = "{";
  for (const auto& [name, module] : table) {
    bytes += 'u';
    AppendNumber(bytes, name.size());
    bytes += name;
    bytes += '(';
    AppendNumber(bytes, 4);
    for (std::uint32_t number : {module.file, module.offset, module.size}) {
      bytes += 'i';
      AppendNumber(bytes, number);
    }
    bytes += module.is_package ? 'T' : 'F';
  }
  bytes += '0';
  return bytes;
}

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

// One of the two files, while it is made.
struct IndexFile {
  std::string_view path;
  std::string modules;  // the .pyc files, one after another
  std::vector<std::pair<const TreeNode::File*, std::uint64_t>> offsets;  // of these
  std::vector<std::string> directories;  // whose tables are here, in the order of first use
};

class IndexMaker {
 public:
  IndexMaker(Tree& tree, std::string_view tag) : tree_(tree), tag_(tag) {}

  // `number` of the file that it becomes part of. Nothing happens to a .pyc that is in one already.
  Result<> Add(const std::string& path, std::uint32_t number) {
    std::optional<CachedPath> place = ParseCachedPath(path, tag_);
    if (!place) return {};
    TreeNode* directory = tree_.Find(place->directory);
    const TreeNode* source = tree_.Find(JoinPath(place->directory, place->name + ".py"));
    TreeNode* cached = tree_.Find(path);
    if (directory == nullptr || directory->directory() == nullptr || cached == nullptr ||
        cached->file() == nullptr || source == nullptr || source->file() == nullptr ||
        !added_.insert(cached->file()).second) {
      return {};
    }
    if (IsHidden(*directory->directory(), place->name)) return {};
    const TreeNode::File& file = *cached->file();
    if (file.size <= kPycHeader || files_[number].modules.size() + file.size > kMaxIndexSize)
      return {};
    const std::string pyc = TRY(ReadSource(file.source, file.size));
    // Only what no Python compares with its source: the flags of PEP 552 are 1.
    if (pyc.substr(4, 4) != std::string_view("\1\0\0\0", 4)) return {};
    const std::string magic = pyc.substr(0, 4);
    if (magic_.empty()) magic_ = magic;
    if (magic == magic_) AddModule(*std::move(place), pyc, file, number);
    return {};
  }

  std::uint64_t ModuleBytes(std::uint32_t number) const { return files_[number].modules.size(); }

  // No parts if there is no module to serve.
  Result<ImportIndex> Finish(std::uint64_t next_bytes) {
    ImportIndex index;
    for (const IndexFile& file : files_) {
      if (tables_.empty() || (file.modules.empty() && &file != &files_[0])) continue;
      std::string text = Head(file);
      const std::uint64_t start = text.size();
      if (&file == &files_[1] && next_bytes != 0) index.next_size = start + next_bytes;
      text += file.modules;
      TRY(tree_.AddText(file.path, std::move(text)));
      const TreeNode::File* whole = tree_.Find(file.path)->file();
      for (const auto& [part, offset] : file.offsets)
        index.parts.push_back({part, whole, start + offset});
    }
    return index;
  }

 private:
  void AddModule(CachedPath place, const std::string& pyc, const TreeNode::File& file,
                 std::uint32_t number) {
    const bool is_package = place.name == "__init__";
    if (is_package) {
      if (!place.directory.contains('/')) return;
      place.name = BaseName(place.directory);
      place.directory.resize(DirName(place.directory).size());
      // An extension module of the same name beside the package is only looked at after it.
    }
    // The list of directories is one of lines.
    if (place.directory.contains('\n')) return;
    IndexFile& into = files_[number];
    auto [table, first] = tables_.try_emplace(place.directory);
    if (first) into.directories.push_back(place.directory);
    Module module{number, static_cast<std::uint32_t>(into.modules.size()),
                  static_cast<std::uint32_t>(pyc.size()), is_package};
    if (!table->second.emplace(std::move(place.name), module).second) return;
    into.modules += pyc;
    into.offsets.emplace_back(&file, module.offset);
  }

  // What is before the modules.
  std::string Head(const IndexFile& file) const {
    std::string list = "\n", tables;
    for (const std::string& directory : file.directories) {
      const std::string table = ToMarshal(tables_.at(directory));
      list += fmt::format("{}{}{} {}\n", directory, '\0', tables.size(), table.size());
      tables += table;
    }
    std::string head(kMagic);
    head += magic_;
    AppendNumber(head, list.size());
    AppendNumber(head, tables.size());
    return head + list + tables;
  }

  Tree& tree_;
  const std::string tag_;
  std::string magic_;                    // of the interpreter, from the first .pyc
  std::map<std::string, Table> tables_;  // by directory
  std::array<IndexFile, 2> files_ = {IndexFile{.path = format::kImportIndexPath},
                                     IndexFile{.path = format::kImportRestPath}};
  std::unordered_set<const TreeNode::File*> added_;
};

}  // namespace

Result<ImportIndex> AddImportIndex(Tree& tree, const std::vector<std::string>& start,
                                   const std::vector<std::string>& next,
                                   std::string_view python_tag) {
  IndexMaker maker(tree, python_tag);
  for (const std::string& path : start) TRY(maker.Add(path, 0));
  for (const std::string& path : next) TRY(maker.Add(path, 1));
  const std::uint64_t next_bytes = maker.ModuleBytes(1);
  std::vector<std::string> rest;
  tree.Walk([&](const std::string& path, const TreeNode& node) {
    if (node.file() != nullptr && path.ends_with(".pyc")) rest.push_back(path);
  });
  for (const std::string& path : rest) TRY(maker.Add(path, 1));
  return maker.Finish(next_bytes);
}

}  // namespace haft
