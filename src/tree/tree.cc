#include "haft/tree/tree.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "haft/base/path.h"
#include "haft/base/text.h"
#include "haft/format/layout.h"

namespace haft {
namespace {

std::string_view KindOf(const TreeNode& node) {
  if (node.directory() != nullptr) return "a directory";
  return node.file() != nullptr ? "a file" : "a symbolic link";
}

std::string OriginOf(const TreeNode& node) {
  if (const TreeNode::Directory* directory = node.directory()) return directory->origin;
  if (const TreeNode::Symlink* symlink = node.symlink()) return symlink->origin;
  return node.file()->source.origin();
}

Error Conflict(std::string_view path, const TreeNode& first, const TreeNode& second) {
  if (first.content.index() != second.content.index()) {
    return Error::Invalid(fmt::format("{}: {} is {} and {} is {}", Quoted(path),
                                      Quoted(OriginOf(first)), KindOf(first),
                                      Quoted(OriginOf(second)), KindOf(second)))
        .Remedy("one place cannot hold both");
  }
  return Error::Invalid(fmt::format("{}: {} and {} differ", Quoted(path), Quoted(OriginOf(first)),
                                    Quoted(OriginOf(second))))
      .Remedy("one place cannot hold both");
}

Result<bool> SameBytes(const TreeNode::File& a, const TreeNode::File& b) {
  if (a.size != b.size) return false;
  FileReader reader_a = TRY(FileReader::Open(a.source, a.size));
  FileReader reader_b = TRY(FileReader::Open(b.source, b.size));
  std::vector<std::byte> bytes_a(1 << 16), bytes_b(1 << 16);
  for (std::uint64_t offset = 0; offset < a.size;) {
    std::size_t length = std::min<std::uint64_t>(bytes_a.size(), a.size - offset);
    TRY(reader_a.Read(offset, std::span(bytes_a).first(length)));
    TRY(reader_b.Read(offset, std::span(bytes_b).first(length)));
    if (std::memcmp(bytes_a.data(), bytes_b.data(), length) != 0) return false;
    offset += length;
  }
  return true;
}

// The path of X.py for DIR/__pycache__/X.TAG.pyc; nullopt for any other path.
std::optional<std::string> SourceOfCached(std::string_view path) {
  constexpr std::string_view kCache = "__pycache__/", kSuffix = ".pyc";
  std::size_t slash = path.rfind('/');
  if (slash == path.npos || !path.ends_with(kSuffix)) return std::nullopt;
  std::string_view directory = path.substr(0, slash + 1);
  std::string_view name = path.substr(slash + 1, path.size() - slash - 1 - kSuffix.size());
  if (!directory.ends_with(kCache)) return std::nullopt;
  directory.remove_suffix(kCache.size());
  if (!directory.empty() && !directory.ends_with('/')) return std::nullopt;
  std::size_t dot = name.rfind('.');
  if (dot == name.npos) return std::nullopt;
  return fmt::format("{}{}.py", directory, name.substr(0, dot));
}

Result<> CheckName(std::string_view name, std::string_view path, std::string_view origin) {
  std::string_view why;
  if (name.empty() || name == "." || name == "..") {
    why = "is no path inside an image";
  } else if (name.size() > format::kMaxNameSize) {
    why = "has a name longer than 255 bytes";
  } else if (name.find('\0') != name.npos) {
    why = "has a zero byte in its name";
  } else {
    return {};
  }
  return Failure(Error::Invalid(fmt::format("{}: {} {}", Quoted(origin), Quoted(path), why)));
}

}  // namespace

Tree::Tree() {
  root_.attributes = kGeneratedDirectory;
}

const TreeNode* Tree::Find(std::string_view path) const {
  const TreeNode* node = &root_;
  while (!path.empty()) {
    const TreeNode::Directory* directory = node->directory();
    if (directory == nullptr) return nullptr;
    auto found = directory->children.find(TakeUntil(path, '/'));
    if (found == directory->children.end()) return nullptr;
    node = found->second.get();
  }
  return node;
}

TreeNode* Tree::Find(std::string_view path) {
  return const_cast<TreeNode*>(std::as_const(*this).Find(path));
}

// The directory that holds `path`, made if necessary.
Result<TreeNode*> Tree::ParentOf(std::string_view path, std::string_view origin) {
  TreeNode* node = &root_;
  for (std::size_t begin = 0;;) {
    std::size_t slash = path.find('/', begin);
    if (slash == path.npos) return node;
    std::string_view name = path.substr(begin, slash - begin);
    TRY(CheckName(name, path, origin));
    std::unique_ptr<TreeNode>& child = node->directory()->children[std::string(name)];
    if (child == nullptr) {
      child = std::make_unique<TreeNode>();
      child->attributes = kGeneratedDirectory;
      *child->directory() = {.children = {}, .origin = std::string(origin), .implied = true};
    } else if (child->directory() == nullptr) {
      TreeNode wanted;
      wanted.directory()->origin = origin;
      return Failure(Conflict(path.substr(0, slash), *child, wanted));
    }
    node = child.get();
    begin = slash + 1;
  }
}

// The node now at `path`: `node`, or what was there before.
Result<TreeNode*> Tree::Insert(std::string_view path, TreeNode node, std::string_view origin) {
  if (path.size() > format::kMaxPathSize) {
    return Failure(
        Error::Invalid(fmt::format("{}: the path in the image would be longer than {} bytes",
                                   Quoted(origin), format::kMaxPathSize)));
  }
  TreeNode* parent = TRY(ParentOf(path, origin));
  const std::string_view name = BaseName(path);
  TRY(CheckName(name, path, origin));
  node.attributes.mode &= format::kModeMask;
  std::unique_ptr<TreeNode>& child = parent->directory()->children[std::string(name)];
  if (child == nullptr) {
    child = std::make_unique<TreeNode>(std::move(node));
    return child.get();
  }
  if (child->content.index() != node.content.index()) return Failure(Conflict(path, *child, node));
  if (TreeNode::Directory* there = child->directory()) {
    if (std::exchange(there->implied, false)) child->attributes = node.attributes;
  } else if (const TreeNode::Symlink* link = child->symlink()) {
    if (link->target != node.symlink()->target) return Failure(Conflict(path, *child, node));
  } else if (!TRY(SameBytes(*child->file(), *node.file()))) {
    std::optional<std::string> source = SourceOfCached(path);
    if (!source || Find(*source) == nullptr) return Failure(Conflict(path, *child, node));
  }
  return child.get();
}

Result<> Tree::AddDirectory(std::string_view path, NodeAttributes attributes,
                            std::string_view origin) {
  TreeNode node;
  node.attributes = attributes;
  node.directory()->origin = origin;
  TRY(Insert(path, std::move(node), origin));
  return {};
}

Result<> Tree::AddFile(std::string_view path, NodeAttributes attributes, std::uint64_t size,
                       FileSource source) {
  std::string origin = source.origin();
  if (size > format::kMaxFileSize) {
    return Failure(Error::Invalid(fmt::format("{}: {} bytes are too many", Quoted(origin), size)));
  }
  TreeNode node{.attributes = attributes, .content = TreeNode::File{size, std::move(source)}};
  TRY(Insert(path, std::move(node), origin));
  return {};
}

Result<> Tree::AddSymlink(std::string_view path, NodeAttributes attributes, std::string target,
                          std::string_view origin) {
  if (target.empty() || target.size() > format::kMaxTargetSize ||
      target.find('\0') != target.npos) {
    return Failure(
        Error::Invalid(fmt::format("{}: the link's target has {} bytes, possible are 1 to {}",
                                   Quoted(origin), target.size(), format::kMaxTargetSize)));
  }
  TreeNode node{.attributes = attributes,
                .content = TreeNode::Symlink{std::move(target), std::string(origin)}};
  TRY(Insert(path, std::move(node), origin));
  return {};
}

Result<> Tree::AddText(std::string_view path, std::string text, NodeAttributes attributes) {
  std::uint64_t size = text.size();
  return AddFile(path, attributes, size, FileSource::InMemory(std::move(text), std::string(path)));
}

void Tree::Walk(
    const std::function<void(const std::string& path, const TreeNode& node)>& visit) const {
  // Paths have at most 2048 components, so recursion is bounded.
  auto walk = [&](auto& self, const std::string& path, const TreeNode& node) -> void {
    for (const auto& [name, child] : node.directory()->children) {
      std::string child_path = JoinPath(path, name);
      visit(child_path, *child);
      if (child->directory() != nullptr) self(self, child_path, *child);
    }
  };
  walk(walk, "", root_);
}

void Tree::CapTimes(std::int64_t limit) {
  auto cap = [&](auto& self, TreeNode& node) -> void {
    NodeAttributes& attributes = node.attributes;
    if (attributes.mtime >= limit) {
      attributes.mtime = limit;
      attributes.mtime_nanoseconds = 0;
    }
    if (TreeNode::Directory* directory = node.directory()) {
      for (auto& [name, child] : directory->children) self(self, *child);
    }
  };
  cap(cap, root_);
}

}  // namespace haft
