// Which files a start touches, in order: recorded once, used to lay out the next image.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "haft/base/error.h"
#include "haft/format/bundle_file.h"

namespace haft::format {

// Part of a file, in bytes.
struct ByteRange {
  std::uint64_t offset;
  std::uint64_t size;

  bool operator==(const ByteRange&) const = default;
};

struct Profile {
  // Paths relative to the root of the image, in the order of first use, each once.
  std::vector<std::string> files;
  std::vector<std::string> directories;  // that were listed
  // Of files that were used in part, which part: ascending, not touching one another.
  std::map<std::string, std::vector<ByteRange>> ranges;

  bool empty() const { return files.empty() && directories.empty(); }
  bool operator==(const Profile&) const = default;
};

// One thing to ask for before the program does. Made by the builder for one image, from its profile.
struct Ahead {
  std::string path;  // a directory, which is listed, if it ends in '/'
  ByteRange range = {0, 0};  // size 0: the whole file

  bool operator==(const Ahead&) const = default;
};

// Appends what `more` has and `profile` has not.
void Merge(Profile& profile, const Profile& more);

// Ascending, what touches joined.
std::vector<ByteRange> Normalised(std::vector<ByteRange> ranges);

// The bytes of the profile section. Paths that are not UTF-8 are left out.
std::string ToJson(const Profile& profile, const std::vector<Ahead>& ahead = {});
Result<Profile> ParseProfile(std::string_view json);
// What the image's profile section says to fetch ahead, in the order of need; empty if it says nothing.
Result<std::vector<Ahead>> ReadAheadList(int fd, const BundleFile& bundle);

}  // namespace haft::format
