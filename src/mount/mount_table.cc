#include "haft/mount/mount_table.h"

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "haft/base/file_io.h"
#include "haft/base/text.h"

namespace haft {
namespace {

// mountinfo writes space, tab, newline and backslash as \ooo.
std::string Unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      out += static_cast<char>(ToNumber<unsigned>(text.substr(i + 1, 3), 8).value_or(0));
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
  const std::string_view rest = std::string_view(options).substr(at + name.size());
  return ToNumber<unsigned>(rest.substr(0, rest.find_first_of(", ")));
}

}  // namespace

std::vector<MountTableEntry> ReadMountTable(const std::string& mountinfo) {
  std::vector<MountTableEntry> entries;
  auto text = ReadWholeFile(mountinfo);
  if (!text) return entries;
  for (std::string_view line : Lines(*text)) {
    // ID PARENT DEV ROOT MOUNTPOINT OPTIONS … - TYPE SOURCE SUPEROPTIONS
    MountTableEntry entry;
    TakeUntil(line, ' ');
    TakeUntil(line, ' ');
    entry.device = TakeUntil(line, ' ');
    TakeUntil(line, ' ');
    entry.mount_point = Unescape(TakeUntil(line, ' '));
    while (!line.empty() && TakeUntil(line, ' ') != "-") {
    }
    entry.type = TakeUntil(line, ' ');
    TakeUntil(line, ' ');
    const std::string options(TakeUntil(line, ' '));
    entry.user_id = NumberBehind(options, "user_id=");
    entry.group_id = NumberBehind(options, "group_id=");
    entries.push_back(std::move(entry));
  }
  return entries;
}

}  // namespace haft
