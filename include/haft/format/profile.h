// Which files a start touches, in order: recorded once, used to lay out the next image.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "haft/base/error.h"
#include "haft/format/bundle_file.h"

namespace haft::format {

struct Profile {
  // Paths relative to the root of the image, in the order of first use, each once.
  std::vector<std::string> files;
  std::vector<std::string> directories;  // that were listed

  bool empty() const { return files.empty() && directories.empty(); }
  bool operator==(const Profile&) const = default;
};

// Appends what `more` has and `profile` has not.
void Merge(Profile& profile, const Profile& more);

// The bytes of the profile section. Paths that are not UTF-8 are left out.
std::string ToJson(const Profile& profile);
Result<Profile> ParseProfile(std::string_view json);
// Empty if the image has none.
Result<Profile> ReadProfile(int fd, const BundleFile& bundle);

}  // namespace haft::format
