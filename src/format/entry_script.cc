#include "haft/format/entry_script.h"

#include <fmt/format.h>

#include "haft/format/image_paths.h"

namespace haft::format {

std::string ScriptOf(const Manifest& manifest, const Entry& entry) {
  if (entry.kind != EntryKind::kFunction) return "";
  const bool installed = !entry.script.empty() && manifest.paths.size() == 1 &&
                         manifest.paths.front() == kSitePackages;
  const std::string& name = entry.script.empty() ? manifest.name : entry.script;
  if (!IsImagePath(name) || name.find('/') != name.npos || name.size() > 255) return "";
  return fmt::format("{}/{}", installed ? "bin" : ".haft/bin", name);
}

}  // namespace haft::format
