// The file tree that becomes an image, in memory: names and attributes, not contents.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "haft/base/error.h"
#include "haft/tree/file_source.h"

namespace haft {

// What an inode carries besides its contents. setuid, setgid and the file type are masked off when
// a node is added.
struct NodeAttributes {
  std::uint32_t mode = 0;
  std::int64_t mtime = 0;  // seconds since 1970-01-01 00:00 UTC
  std::uint32_t mtime_nanoseconds = 0;
};

// 1980-01-01 00:00 UTC: the time of what haft itself adds.
inline constexpr std::int64_t kGeneratedTime = 315532800;
inline constexpr NodeAttributes kGeneratedFile = {.mode = 0644, .mtime = kGeneratedTime};
inline constexpr NodeAttributes kGeneratedDirectory = {.mode = 0755, .mtime = kGeneratedTime};

struct TreeNode {
  // Sorted by name as unsigned bytes.
  using Children = std::map<std::string, std::unique_ptr<TreeNode>, std::less<>>;

  struct File {
    std::uint64_t size;
    FileSource source;
  };
  struct Directory {
    Children children;
    std::string origin;  // for messages
    bool implied;        // made for a file below it; nobody has said its attributes yet
  };
  struct Symlink {
    std::string target;
    std::string origin;
  };

  NodeAttributes attributes;
  std::variant<Directory, File, Symlink> content;

  Directory* directory() { return std::get_if<Directory>(&content); }
  const Directory* directory() const { return std::get_if<Directory>(&content); }
  File* file() { return std::get_if<File>(&content); }
  const File* file() const { return std::get_if<File>(&content); }
  const Symlink* symlink() const { return std::get_if<Symlink>(&content); }
};

// A tree of nodes below a root directory. Paths are relative to the root, without leading slash,
// "." or ".."; names are bytes. Missing parents are made as 0755 directories of 1980; a later
// AddDirectory() gives them their attributes. Not thread-safe.
//
// Adding what is there already merges: directories always do (the first attributes stay), files and
// symbolic links if their contents are the same; anything else is an error that names both origins.
// One exception: of two different __pycache__/X.*.pyc whose source X.py is in the tree, the first
// stays, because which of them is up to date with X.py only the interpreter can say.
//
// The limits of docs/format.md for names, paths and targets are checked here.
class Tree {
 public:
  Tree();

  Result<> AddDirectory(std::string_view path, NodeAttributes attributes, std::string_view origin);
  // Reads the file only to compare it with one that is there already.
  Result<> AddFile(std::string_view path, NodeAttributes attributes, std::uint64_t size,
                   FileSource source);
  Result<> AddSymlink(std::string_view path, NodeAttributes attributes, std::string target,
                      std::string_view origin);
  // Bytes made by haft.
  Result<> AddText(std::string_view path, std::string text,
                   NodeAttributes attributes = kGeneratedFile);

  const TreeNode& root() const { return root_; }
  TreeNode& root() { return root_; }
  // Null if there is none. "" is the root.
  const TreeNode* Find(std::string_view path) const;
  TreeNode* Find(std::string_view path);

  // Calls `visit` for every node but the root: parents before children, names in order.
  void Walk(const std::function<void(const std::string& path, const TreeNode& node)>& visit) const;

  // Makes every later time than `limit` that time (SOURCE_DATE_EPOCH).
  void CapTimes(std::int64_t limit);

 private:
  Result<TreeNode*> ParentOf(std::string_view path, std::string_view origin);
  Result<TreeNode*> Insert(std::string_view path, TreeNode node, std::string_view origin);

  TreeNode root_;
};

}  // namespace haft
