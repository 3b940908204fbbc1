#include "haft/format/profile.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <unordered_set>

#include "haft/base/file_io.h"
#include "haft/format/checksum.h"

namespace haft::format {
namespace {

using nlohmann::json;

constexpr std::uint64_t kMaxProfileSize = 64u << 20;

void MergePaths(std::vector<std::string>& into, const std::vector<std::string>& more) {
  std::unordered_set<std::string_view> known(into.begin(), into.end());
  std::vector<std::string> added;
  for (const std::string& path : more) {
    if (known.insert(path).second) added.push_back(path);
  }
  into.insert(into.end(), added.begin(), added.end());
}

bool IsUtf8(const std::string& text) {
  json value = text;
  try {
    static_cast<void>(value.dump());
    return true;
  } catch (const json::exception&) {
    return false;
  }
}

json Paths(const std::vector<std::string>& paths) {
  json list = json::array();
  for (const std::string& path : paths) {
    if (IsUtf8(path)) list.push_back(path);
  }
  return list;
}

Result<std::vector<std::string>> ParsePaths(const json& object, const char* member) {
  std::vector<std::string> paths;
  auto found = object.find(member);
  if (found == object.end()) return paths;
  auto bad = [&] { return Error::Corrupt(fmt::format("profile: {}: not an array of paths", Quoted(member))); };
  if (!found->is_array()) return Failure(bad());
  for (const json& path : *found) {
    if (!path.is_string()) return Failure(bad());
    const auto& text = path.get_ref<const std::string&>();
    if (text.empty() || text.size() > kMaxPathSize || text[0] == '/') return Failure(bad());
    paths.push_back(text);
  }
  return paths;
}

}  // namespace

void Merge(Profile& profile, const Profile& more) {
  MergePaths(profile.files, more.files);
  MergePaths(profile.directories, more.directories);
}

std::string ToJson(const Profile& profile) {
  nlohmann::ordered_json object = {{"files", Paths(profile.files)}, {"directories", Paths(profile.directories)}};
  return object.dump();
}

Result<Profile> ParseProfile(std::string_view text) {
  json object = json::parse(text, nullptr, false);
  if (!object.is_object()) return Failure(Error::Corrupt("profile: not a JSON object"));
  if (!object.contains("files")) return Failure(Error::Corrupt("profile: has no member 'files'"));
  Profile profile;
  profile.files = TRY(ParsePaths(object, "files"));
  profile.directories = TRY(ParsePaths(object, "directories"));
  return profile;
}

Result<Profile> ReadProfile(int fd, const BundleFile& bundle) {
  const Trailer& trailer = bundle.trailer;
  if (trailer.profile_size == 0) return Profile{};
  if (trailer.profile_size > kMaxProfileSize) return Failure(Error::Corrupt("profile: larger than 64 MiB"));
  std::string text(trailer.profile_size, '\0');
  TRY(ReadExactly(fd, std::as_writable_bytes(std::span(text)), bundle.image_offset + trailer.profile_offset));
#ifndef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
  if (Checksum(AsBytes(text)) != trailer.profile_checksum) {
    return Failure(Error::Corrupt("profile: checksum is wrong"));
  }
#endif
  return ParseProfile(text);
}

}  // namespace haft::format
