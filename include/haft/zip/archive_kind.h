#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "haft/base/error.h"
#include "haft/format/manifest.h"
#include "haft/pack/tree.h"

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
  // What a start calls: kNone if that is `script`, or if there is nothing to run.
  format::Entry entry;
  // A file of the archive, run as Python (zipapp's __main__.py), or by its "#!" line (a script from
  // bin/).
  std::string script;
  // Directories for sys.path in the archive, in order. "" is its root.
  std::vector<std::string> paths;
  // What is in `paths`, but belongs to the tool that made the archive, not to the application.
  // Directories too.
  std::vector<std::string> tool_files;
  std::string build_id;  // shiv's
  // pex: arguments and variables every start gets.
  std::vector<std::string> inject_args;
  std::vector<std::pair<std::string, std::string>> inject_env;
  // pex without entry point or script: a start is an interpreter.
  bool interpreter = false;
  // Why it cannot be run without unpacking, with what helps; empty: it can.
  std::string obstacle;

  // Where a file of the archive would be in a site-packages directory made of all `paths`; nullopt:
  // not in it. For `haft build --from`.
  std::optional<std::string> InSitePackages(std::string_view path) const;
};

// `tree` is that of the archive, `file` its name for messages. Reads environment.json, PEX-INFO and
// entry_points.txt files. An archive that says it is a shiv or a pex, but whose description cannot
// be understood, is an error.
Result<ArchiveInfo> Recognise(const Tree& tree, const std::string& file);

// The "#!" line in front of an archive without "#!", trimmed; "" if there is none.
std::string ShebangOf(int fd);

}  // namespace haft
