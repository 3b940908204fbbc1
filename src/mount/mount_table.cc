#include "mount_table.h"

#include <cstdlib>
#include <sstream>
#include <string_view>

#include "haft/base/file_io.h"

namespace haft {
namespace {

// mountinfo writes space, tab, newline and backslash as \ooo.
std::string Unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      out += static_cast<char>(std::strtol(std::string(text.substr(i + 1, 3)).c_str(), nullptr, 8));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::optional<unsigned> NumberBehind(const std::string& options, std::string_view name) {
  auto at = options.find(name);
  if (at == options.npos) return std::nullopt;
  return static_cast<unsigned>(std::strtoul(options.c_str() + at + name.size(), nullptr, 10));
}

}  // namespace

std::vector<MountTableEntry> ReadMountTable(const std::string& mountinfo) {
  std::vector<MountTableEntry> entries;
  auto text = ReadWholeFile(mountinfo);
  std::istringstream lines(text ? *text : "");
  for (std::string line; std::getline(lines, line);) {
    // ID PARENT DEV ROOT MOUNTPOINT OPTIONS … - TYPE SOURCE SUPEROPTIONS
    std::istringstream words(line);
    std::string id, parent, root, mount_point, word, source, options;
    MountTableEntry entry;
    words >> id >> parent >> entry.device >> root >> mount_point;
    while (words >> word && word != "-") {
    }
    words >> entry.type >> source >> options;
    entry.mount_point = Unescape(mount_point);
    entry.user_id = NumberBehind(options, "user_id=");
    entry.group_id = NumberBehind(options, "group_id=");
    entries.push_back(std::move(entry));
  }
  return entries;
}

}  // namespace haft
