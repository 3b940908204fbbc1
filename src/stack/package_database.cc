#include "package_database.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "haft/base/file_io.h"
#include "haft/base/path.h"
#include "haft/base/subprocess.h"
#include "haft/base/text.h"

namespace haft {
namespace {

constexpr const char* kQueryProgram = "/usr/bin/dpkg-query";
constexpr std::size_t kBatch = 400;  // paths on one command line
constexpr std::size_t kMaxOutput = 64u << 20;
constexpr std::size_t kMaxLicenses = 12;

// dpkg knows a file by the name its package has it: on a host with merged /usr that may be /lib/x
// for /usr/lib/x.
std::vector<std::string> NamesOf(const std::string& file) {
  std::vector<std::string> names = {file};
  if (file.starts_with("/usr/lib") || file.starts_with("/usr/bin/") ||
      file.starts_with("/usr/sbin/")) {
    names.push_back(file.substr(4));
  }
  return names;
}

Result<std::string> Ask(std::vector<std::string> arguments) {
  auto output = TRY(RunCommand({.program = kQueryProgram,
                                .arguments = std::move(arguments),
                                .environment = {"LC_ALL=C", "PATH=/usr/bin:/bin"}},
                               kMaxOutput));
  return std::move(output.out);  // a status of 1 says that some were not found
}

}  // namespace

std::string LicensesIn(std::string_view copyright) {
  if (!copyright.starts_with("Format:")) return "";
  std::vector<std::string> names;
  for (std::string_view line : Lines(copyright)) {
    constexpr std::string_view kField = "License:";
    if (!line.starts_with(kField)) continue;
    std::string name(Trim(line.substr(kField.size())));
    if (!name.empty() && std::ranges::find(names, name) == names.end() &&
        names.size() < kMaxLicenses) {
      names.push_back(std::move(name));
    }
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

Result<PackageDatabase> PackageDatabase::Query(const std::vector<std::string>& files) {
  PackageDatabase database;
  if (files.empty() || !IsExecutableFile(kQueryProgram)) return database;
  std::map<std::string, std::string> asked;  // dpkg's name to ours
  for (const std::string& file : files) {
    for (std::string& name : NamesOf(file)) asked.emplace(std::move(name), file);
  }
  for (auto entry = asked.begin(); entry != asked.end();) {
    std::vector<std::string> arguments = {"-S", "--"};
    for (std::size_t i = 0; i < kBatch && entry != asked.end(); ++i, ++entry)
      arguments.push_back(entry->first);
    const std::string answer = TRY(Ask(std::move(arguments)));
    for (std::string_view line : Lines(answer)) {
      // "libc6:amd64: /lib/x86_64-linux-gnu/libc.so.6", "a, b: /path"
      std::size_t colon = line.find(": ");
      if (colon == line.npos || line.starts_with("diversion by")) continue;
      auto found = asked.find(std::string(line.substr(colon + 2)));
      if (found == asked.end()) continue;
      std::string_view owner = line.substr(0, colon);
      owner = owner.substr(0, owner.find_first_of(":,"));
      database.owners_[found->second] = owner;
      database.packages_[std::string(owner)];
    }
  }
  if (database.packages_.empty()) return database;
  std::vector<std::string> arguments = {"-W", "-f", "${Package} ${Version}\\n", "--"};
  for (const auto& [name, package] : database.packages_) arguments.push_back(name);
  const std::string versions = TRY(Ask(std::move(arguments)));
  for (std::string_view line : Lines(versions)) {
    const auto [name, version] = SplitOnce(line, ' ');
    auto found = database.packages_.find(std::string(name));
    if (!version.empty() && found != database.packages_.end()) found->second.version = version;
  }
  for (auto& [name, package] : database.packages_) {
    std::string path = fmt::format("/usr/share/doc/{}/copyright", name);
    auto text = ReadWholeFile(path);
    if (!text) continue;
    package.copyright_path = path;
    package.license = LicensesIn(*text);
  }
  return database;
}

std::string PackageDatabase::OwnerOf(const std::string& file) const {
  auto found = owners_.find(file);
  return found == owners_.end() ? "" : found->second;
}

}  // namespace haft
