// Reading directories.
#pragma once

#include <dirent.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "haft/base/error.h"
#include "haft/base/unique_fd.h"

namespace haft {

// The entries of a directory, one after the other, in the order the file system has them.
class DirectoryStream {
 public:
  // False, with errno, if it cannot be read.
  explicit DirectoryStream(const std::string& path) : stream_(::opendir(path.c_str())) {}
  // From the beginning, with a descriptor of its own.
  explicit DirectoryStream(int directory);
  explicit operator bool() const { return stream_ != nullptr; }

  // The next entry that is neither "." nor "..", valid until the next call. Null at the end, with
  // errno 0, and after an error.
  const dirent* Next();

 private:
  struct Close {
    void operator()(DIR* stream) const { ::closedir(stream); }
  };
  std::unique_ptr<DIR, Close> stream_;
};

// The directory `name` below `parent`. Not through a symbolic link (ELOOP, ENOTDIR).
UniqueFd OpenDirectoryAt(int parent, const std::string& name);

// All names, without "." and ".."; none if it cannot be read.
std::vector<std::string> NamesIn(int directory);

// Makes a directory "PREFIXxxxx" below `parent`, with so many random letters of [a-z2-7] at its
// end, and returns that name.
Result<std::string> MakeDirectoryAt(int parent, std::string_view prefix, unsigned letters,
                                    unsigned mode);

}  // namespace haft
