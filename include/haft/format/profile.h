// Which files a start touches, in order: recorded once, used to lay out the next image.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "haft/base/error.h"
#include "haft/format/bundle_file.h"
#include "haft/format/byte_range.h"

namespace haft::format {

// Whether it can be a path of Profile::host: relative or below /usr, and never upwards.
bool IsHostPath(std::string_view path);

struct Profile {
  // Paths relative to the root of the image, in the order of first use, each once.
  std::vector<std::string> files;
  std::vector<std::string> directories;  // that were listed
  std::vector<std::string> missing;      // that were looked for in vain
  // Of files that were used in part, which part: ascending, not touching one another.
  std::map<std::string, std::vector<ByteRange>> ranges;
  // Files of the host that Python itself read, in the order of first use: below the prefix of the
  // interpreter, relative to it, or below /usr.
  std::vector<std::string> host;

  bool empty() const { return files.empty() && directories.empty(); }
  bool operator==(const Profile&) const = default;
};

// One thing to ask for before the program does. Made by the builder for one image, from its
// profile.
struct Prefetch {
  std::string path;          // a directory, which is listed, if it ends in '/'
  ByteRange range = {0, 0};  // size 0: the whole file

  bool operator==(const Prefetch&) const = default;
};

// What to ask for at a start, in the order of need.
struct PrefetchPlan {
  std::vector<Prefetch> image;    // in the image
  std::vector<std::string> host;  // as Profile::host
};

// Appends what `more` has and `profile` has not.
void Merge(Profile& profile, const Profile& more);

// Ascending, what touches joined.
std::vector<ByteRange> Normalised(std::vector<ByteRange> ranges);

// The bytes of the profile section. Paths that are not UTF-8 are left out.
std::string ToJson(const Profile& profile, const std::vector<Prefetch>& ahead = {});
Result<Profile> ParseProfile(std::string_view json);
// What the image's profile section says to prefetch; empty if it says nothing.
Result<PrefetchPlan> ReadPrefetchPlan(int fd, const BundleFile& bundle);

}  // namespace haft::format
