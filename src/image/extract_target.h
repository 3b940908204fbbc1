#pragma once

#include <string>

#include "haft/base/error.h"
#include "haft/base/temporary_directory.h"

namespace haft {

// The directory that `haft extract` makes, under a temporary name beside it; gone with this object
// unless committed.
class ExtractTarget {
 public:
  // Refuses what Commit() could not replace, before all the work.
  static Result<ExtractTarget> Create(const std::string& target);

  int fd() const { return directory_.fd(); }
  // Gives it its name.
  Result<> Commit();

 private:
  ExtractTarget(TemporaryDirectory directory, std::string target)
      : directory_(std::move(directory)), target_(std::move(target)) {}

  TemporaryDirectory directory_;
  std::string target_;
};

}  // namespace haft
