#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "haft/base/error.h"
#include "haft/format/manifest.h"
#include "haft/tree/tree.h"

namespace haft {

enum class ArchiveKind {
  kShiv,    // environment.json, site-packages/
  kPex,     // PEX-INFO, code at the root, distributions below .deps/
  kZipapp,  // __main__.py
  kWheel,   // NAME.dist-info/WHEEL
  kPlain,   // anything else
};

// "shiv", "pex", "zipapp", "wheel", "zip".
std::string_view NameOf(ArchiveKind kind);

// What an archive is and how it is run from a mount, by what is in it.
struct ArchiveInfo {
  ArchiveKind kind = ArchiveKind::kPlain;
  // What a start has to know, as far as the archive tells: entry, scripts, paths, arguments,
  // environment, isolated, preamble, build_id. Not name, mount, python and builder.
  format::Manifest manifest;
  // What is in manifest.paths, but belongs to the tool that made the archive, not to the
  // application. Directories too.
  std::vector<std::string> tool_files;
  // Directories whose contents an installer puts to another place in site-packages: where from, and
  // where to.
  std::vector<std::pair<std::string, std::string>> spread;
  // Why it cannot be run without unpacking, with what helps; empty: it can.
  std::string obstacle;

  // Where a file of the archive would be in a site-packages directory made of all `paths`; nullopt:
  // not in it. For `haft build --from`.
  std::optional<std::string> InSitePackages(std::string_view path) const;
};

// `tree` is that of the archive, `file` its name for messages. Reads environment.json, PEX-INFO,
// entry_points.txt files and first lines of scripts. An archive that says it is a shiv or a pex,
// but whose description cannot be understood, is an error.
Result<ArchiveInfo> Recognise(const Tree& tree, const std::string& file);

}  // namespace haft
