#include "haft/format/profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "haft/base/file_io.h"
#include "haft/base/text.h"
#include "haft/base/utf8.h"
#include "haft/format/digest.h"
#include "haft/format/json.h"

namespace haft::format {
namespace {

using nlohmann::json;

void MergePaths(std::vector<std::string>& into, const std::vector<std::string>& more) {
  std::unordered_set<std::string_view> known(into.begin(), into.end());
  std::vector<std::string> added;
  for (const std::string& path : more) {
    if (known.insert(path).second) added.push_back(path);
  }
  into.insert(into.end(), added.begin(), added.end());
}

json Paths(const std::vector<std::string>& paths) {
  json list = json::array();
  for (const std::string& path : paths) {
    if (IsUtf8(path)) list.push_back(path);
  }
  return list;
}

// Weaker than IsImagePath(): what is recorded may have a "..", which the image does not find.
bool IsRecordedPath(std::string_view path) {
  return !path.empty() && path.size() <= kMaxPathSize && path[0] != '/';
}

Result<std::vector<std::string>> ParsePaths(const json& object, const char* member,
                                            bool (*is_allowed)(std::string_view) = IsRecordedPath) {
  std::vector<std::string> paths;
  auto found = object.find(member);
  if (found == object.end()) return paths;
  auto bad = [&] {
    return Error::Corrupt(fmt::format("profile: {}: not an array of paths", Quoted(member)));
  };
  if (!found->is_array()) return Failure(bad());
  for (const json& path : *found) {
    if (!path.is_string()) return Failure(bad());
    const auto& text = path.get_ref<const std::string&>();
    if (!is_allowed(text)) return Failure(bad());
    paths.push_back(text);
  }
  return paths;
}

// A path in the image, a directory's with a slash at its end. The root's is "/".
bool IsPrefetchPath(std::string_view path) {
  if (path == "/") return true;
  if (path.ends_with('/')) path.remove_suffix(1);
  return IsImagePath(path);
}

bool IsNumber(const json& value) {
  return value.is_number_unsigned();
}

// {PATH: [[OFFSET, SIZE], …]}
Result<std::map<std::string, std::vector<ByteRange>>> ParseRanges(const json& object) {
  std::map<std::string, std::vector<ByteRange>> result;
  auto found = object.find("ranges");
  if (found == object.end()) return result;
  auto bad = [] {
    return Error::Corrupt("profile: 'ranges': not an object of arrays of offset and size");
  };
  if (!found->is_object()) return Failure(bad());
  for (const auto& [path, list] : found->items()) {
    if (!list.is_array()) return Failure(bad());
    std::vector<ByteRange> ranges;
    for (const json& pair : list) {
      if (!pair.is_array() || pair.size() != 2 || !IsNumber(pair[0]) || !IsNumber(pair[1]))
        return Failure(bad());
      ranges.push_back({pair[0].get<std::uint64_t>(), pair[1].get<std::uint64_t>()});
    }
    result.emplace(path, Normalised(std::move(ranges)));
  }
  return result;
}

// [[PATH, OFFSET, SIZE], …]; [PATH] is a whole file or a directory.
Result<std::vector<Prefetch>> ParsePrefetch(const json& object) {
  auto bad = [] {
    return Error::Corrupt("profile: 'ahead': not an array of path, offset and size");
  };
  std::vector<Prefetch> ahead;
  auto found = object.find("ahead");
  if (found == object.end()) return ahead;
  if (!found->is_array()) return Failure(bad());
  for (const json& part : *found) {
    if (!part.is_array() || (part.size() != 1 && part.size() != 3) || !part[0].is_string())
      return Failure(bad());
    Prefetch one{.path = part[0].get<std::string>()};
    if (!IsPrefetchPath(one.path)) return Failure(bad());
    if (part.size() == 3) {
      if (!IsNumber(part[1]) || !IsNumber(part[2])) return Failure(bad());
      one.range = {part[1].get<std::uint64_t>(), part[2].get<std::uint64_t>()};
    }
    ahead.push_back(std::move(one));
  }
  return ahead;
}

// Whole files stay whole.
void MergeRanges(Profile& profile, const Profile& more) {
  const std::unordered_set<std::string_view> known(profile.files.begin(), profile.files.end());
  auto is_whole = [](const Profile& of, const std::string& path) {
    return std::ranges::find(of.files, path) != of.files.end() && !of.ranges.contains(path);
  };
  std::erase_if(profile.ranges, [&](const auto& item) { return is_whole(more, item.first); });
  for (const auto& [path, ranges] : more.ranges) {
    auto mine = profile.ranges.find(path);
    if (mine != profile.ranges.end()) {
      mine->second.insert(mine->second.end(), ranges.begin(), ranges.end());
      mine->second = Normalised(std::move(mine->second));
    } else if (!known.contains(path)) {
      profile.ranges.emplace(path, ranges);
    }
  }
}

}  // namespace

bool IsHostPath(std::string_view path) {
  if (path.empty() || path.size() > kMaxPathSize || (path[0] == '/' && !path.starts_with("/usr/")))
    return false;
  return std::ranges::none_of(Split(path, '/'), [](std::string_view name) { return name == ".."; });
}

std::vector<ByteRange> Normalised(std::vector<ByteRange> ranges) {
  std::ranges::sort(ranges, {}, &ByteRange::offset);
  std::vector<ByteRange> joined;
  for (const ByteRange& range : ranges) {
    if (range.size == 0 || range.size > UINT64_MAX - range.offset) continue;
    std::uint64_t end = range.offset + range.size;
    if (joined.empty() || joined.back().offset + joined.back().size < range.offset) {
      joined.push_back(range);
    } else {
      joined.back().size =
          std::max(joined.back().offset + joined.back().size, end) - joined.back().offset;
    }
  }
  return joined;
}

void Merge(Profile& profile, const Profile& more) {
  MergeRanges(profile, more);
  MergePaths(profile.files, more.files);
  MergePaths(profile.directories, more.directories);
  MergePaths(profile.missing, more.missing);
  MergePaths(profile.host, more.host);
}

std::string ToJson(const Profile& profile, const std::vector<Prefetch>& ahead) {
  nlohmann::ordered_json object = {{"files", Paths(profile.files)},
                                   {"directories", Paths(profile.directories)}};
  for (const auto& [path, ranges] : profile.ranges) {
    if (!IsUtf8(path)) continue;
    for (const ByteRange& range : ranges)
      object["ranges"][path].push_back({range.offset, range.size});
  }
  if (!profile.missing.empty()) object["missing"] = Paths(profile.missing);
  if (!profile.host.empty()) object["host"] = Paths(profile.host);
  for (const Prefetch& one : ahead) {
    if (!IsUtf8(one.path)) continue;
    nlohmann::ordered_json part = nlohmann::ordered_json::array({one.path});
    if (one.range.size != 0) part.insert(part.end(), {one.range.offset, one.range.size});
    object["ahead"].push_back(std::move(part));
  }
  return object.dump();
}

Result<Profile> ParseProfile(std::string_view text) {
  const json object = TRY(ParseJsonObject(text, "profile"));
  if (!object.contains("files")) return Failure(Error::Corrupt("profile: has no member 'files'"));
  Profile profile;
  profile.files = TRY(ParsePaths(object, "files"));
  profile.directories = TRY(ParsePaths(object, "directories"));
  profile.ranges = TRY(ParseRanges(object));
  profile.missing = TRY(ParsePaths(object, "missing"));
  profile.host = TRY(ParsePaths(object, "host", IsHostPath));
  return profile;
}

Result<PrefetchPlan> ReadPrefetchPlan(int fd, const BundleFile& bundle) {
  const Trailer& trailer = bundle.trailer;
  if (trailer.profile_size == 0) return PrefetchPlan{};
  std::string text(trailer.profile_size, '\0');
  TRY(ReadExactly(fd, std::as_writable_bytes(std::span(text)),
                  bundle.image_offset + trailer.profile_offset));
  if (!HasDigest(AsBytes(text), trailer.profile_digest)) {
    return Failure(Error::Corrupt("profile: digest is wrong"));
  }
  auto wanted = [](std::string_view member) { return member == "ahead" || member == "host"; };
  const json object = TRY(ParseJsonObject(text, "profile", {.wanted = wanted}));
  PrefetchPlan plan;  // not in braces, see TRY
  plan.image = TRY(ParsePrefetch(object));
  plan.host = TRY(ParsePaths(object, "host", IsHostPath));
  return plan;
}

}  // namespace haft::format
