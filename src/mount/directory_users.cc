#include "haft/mount/directory_users.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <string_view>

#include "haft/base/directory.h"
#include "haft/base/file_io.h"
#include "haft/base/path.h"
#include "haft/base/process.h"

namespace haft {
namespace {

// Whether `text` names the directory or something in it.
bool Mentions(std::string_view text, const std::string& path) {
  for (auto at = text.find(path); at != text.npos; at = text.find(path, at + 1)) {
    std::size_t end = at + path.size();
    if (end >= text.size() || std::string_view("/:\0\n \"'", 7).contains(text[end])) return true;
  }
  return false;
}

bool LinkLeadsInto(const std::string& link, const std::string& path) {
  std::array<char, PATH_MAX> target;
  ssize_t size = ::readlink(link.c_str(), target.data(), target.size());
  return size > 0 &&
         Mentions(std::string_view(target.data(), static_cast<std::size_t>(size)), path);
}

bool Uses(const std::string& process, const std::string& path) {
  for (std::string_view file : {"environ", "cmdline", "maps"}) {
    auto text = ReadWholeFile(fmt::format("{}/{}", process, file));
    if (text && Mentions(*text, path)) return true;
  }
  for (std::string_view link : {"cwd", "root", "exe"}) {
    if (LinkLeadsInto(fmt::format("{}/{}", process, link), path)) return true;
  }
  std::string descriptors = process + "/fd";
  DirectoryStream stream(descriptors);
  while (const dirent* entry = stream.Next()) {
    if (LinkLeadsInto(JoinPath(descriptors, entry->d_name), path)) return true;
  }
  return false;
}

bool IsUser(pid_t process, const std::string& path) {
  std::string directory = fmt::format("/proc/{}", process);
  auto comm = ReadWholeFile(directory + "/comm", 64);
  return process != ::getpid() && comm && !comm->starts_with("haft-") && Uses(directory, path);
}

}  // namespace

std::vector<pid_t> FindUsers(const std::string& path) {
  std::vector<pid_t> users = AllProcesses();
  std::erase_if(users, [&](pid_t process) { return !IsUser(process, path); });
  return users;
}

std::optional<pid_t> FindUser(const std::string& path) {
  for (pid_t process : AllProcesses()) {
    if (IsUser(process, path)) return process;
  }
  return std::nullopt;
}

}  // namespace haft
