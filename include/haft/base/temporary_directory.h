#pragma once

#include <string>
#include <string_view>

#include "haft/base/error.h"
#include "haft/base/unique_fd.h"

namespace haft {

// A directory for work in progress; removed with all in it when dropped. It is locked (flock) as
// long as this process lives, so that a later one can tell what a killed one has left behind:
// Create() removes that first. Not for several threads at once.
class TemporaryDirectory {
 public:
  // PARENT/PREFIXxxxxxx, 0700. Other directories of that form that belong to this user and are not
  // locked are removed. Nobody else can lead path() elsewhere: a parent where that is not so is
  // refused (see OpenSafeDirectory). REQUIRES: `prefix` is unique to haft and to this purpose.
  static Result<TemporaryDirectory> Create(const std::string& parent, std::string_view prefix);
  // Below $TMPDIR if that is an absolute path, else /tmp.
  static Result<TemporaryDirectory> CreateInTmp(std::string_view prefix);
  // In a directory that may belong to anybody: only fd(), parent() and name() lead to it for sure.
  static Result<TemporaryDirectory> CreateIn(UniqueFd parent, const std::string& parent_path,
                                             std::string_view prefix);

  TemporaryDirectory(TemporaryDirectory&& other) noexcept;
  TemporaryDirectory& operator=(TemporaryDirectory&&) = delete;
  ~TemporaryDirectory() { Remove(); }

  int parent() const { return parent_.get(); }
  int fd() const { return fd_.get(); }
  const std::string& name() const { return name_; }  // below parent()
  const std::string& path() const { return path_; }  // without symbolic links if Create() made it

  // It has another name now, or other owners: it stays.
  void Keep() { name_.clear(); }
  // At once instead of when dropped.
  void Remove();

 private:
  TemporaryDirectory(UniqueFd parent, UniqueFd fd, std::string name, std::string path)
      : parent_(std::move(parent)),
        fd_(std::move(fd)),
        name_(std::move(name)),
        path_(std::move(path)) {}

  UniqueFd parent_;
  UniqueFd fd_;
  std::string name_;  // empty: nothing to remove
  std::string path_;
};

}  // namespace haft
