#include "haft/archive/inner_wheels.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>

#include "haft/base/file_io.h"
#include "haft/base/limits.h"
#include "haft/base/path.h"

namespace haft {
namespace {

constexpr std::string_view kDeps = ".deps";

// A copy of the file in memory, opened as an archive. `path` is for messages.
Result<std::shared_ptr<ZipArchive>> OpenInner(const TreeNode::File& file, std::string path) {
  constexpr std::uint64_t kPiece = 1u << 20;
  UniqueFd fd(::memfd_create("haft-wheel", MFD_CLOEXEC));
  if (!fd) return Failure(Error::FromErrno("memfd_create"));
  const FileSizeLimit limit(FileSizeLimit::Files::kInMemory);
  FileReader reader = TRY(FileReader::Open(file.source, file.size));
  std::vector<std::byte> buffer(std::min(file.size, kPiece));
  for (std::uint64_t offset = 0; offset < file.size; offset += kPiece) {
    auto bytes = std::span(buffer).first(std::min(kPiece, file.size - offset));
    TRY(reader.Read(offset, bytes));
    TRY(WriteAllAt(fd.get(), bytes, offset));
  }
  return ZipArchive::Open(std::move(fd), std::move(path));
}

// The files of a directory whose names end in `suffix`.
std::vector<std::string> FilesOf(const TreeNode::Children& children, std::string_view suffix) {
  std::vector<std::string> names;
  for (const auto& [name, node] : children) {
    if (name.ends_with(suffix) && node->file() != nullptr) names.push_back(name);
  }
  return names;
}

}  // namespace

Result<std::vector<InnerArchive>> ExpandInnerWheels(Tree& tree, const std::string& path) {
  std::vector<InnerArchive> inner;
  TreeNode* deps = tree.Find("PEX-INFO") == nullptr ? nullptr : tree.Find(kDeps);
  if (deps == nullptr || deps->directory() == nullptr) return inner;
  TreeNode::Children& children = deps->directory()->children;
  std::uint64_t left = kMostInnerBytes;
  for (const std::string& name : FilesOf(children, ".whl")) {
    const TreeNode& node = *children.find(name)->second;
    if (node.file()->size > left) continue;
    left -= node.file()->size;
    const std::string directory = JoinPath(kDeps, name);
    auto archive = TRY(OpenInner(*node.file(), fmt::format("{}/{}", path, directory)));
    children.erase(name);
    TRY(tree.AddDirectory(directory, kGeneratedDirectory, path));
    TRY(AddArchive(archive, tree,
                   [&](std::string_view entry) { return JoinPath(directory, entry); }));
    inner.push_back({.directory = directory, .archive = std::move(archive)});
  }
  return inner;
}

Result<> ExpandEggs(Tree& tree, std::string_view directory) {
  TreeNode* node = tree.Find(directory);
  if (node == nullptr || node->directory() == nullptr) return {};
  TreeNode::Children& children = node->directory()->children;
  std::uint64_t left = kMostInnerBytes;
  for (const std::string& name : FilesOf(children, ".egg")) {
    const TreeNode::File& file = *children.find(name)->second->file();
    if (file.size > left) continue;
    const std::string origin = file.source.origin();
    auto archive = OpenInner(file, origin);
    if (!archive) continue;
    left -= file.size;
    children.erase(name);
    const std::string egg = JoinPath(directory, name);
    TRY(tree.AddDirectory(egg, kGeneratedDirectory, origin));
    TRY(AddArchive(*archive, tree, [&](std::string_view entry) { return JoinPath(egg, entry); }));
  }
  return {};
}

}  // namespace haft
