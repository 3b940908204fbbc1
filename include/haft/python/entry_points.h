#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "haft/base/error.h"
#include "haft/format/manifest.h"
#include "haft/tree/tree.h"

namespace haft {

// The console scripts of the distributions in a tree. gui_scripts are the same here: they differ on
// Windows only.
class EntryPoints {
 public:
  // Reads entry_points.txt of *.dist-info, *.egg-info and *.egg/EGG-INFO directly below
  // `directory`.
  static Result<EntryPoints> Find(const Tree& tree, std::string_view directory);

  // What the console script `name` calls. Unknown names: the error lists those there are and
  // suggests the nearest. A name that two distributions define differently is an error that names
  // both.
  Result<format::Entry> ConsoleScript(const std::string& name) const;
  bool Has(const std::string& name) const { return scripts_.contains(name); }
  // Sorted, each once.
  std::vector<std::string> Names() const;

 private:
  struct Definition {
    std::string target;  // as written: "module:attribute [extra]"
    std::string origin;  // entry_points.txt, for messages
  };
  Error Unknown(const std::string& name) const;

  std::multimap<std::string, Definition> scripts_;
};

// One line of [console_scripts] or [gui_scripts] and its value.
struct ScriptLine {
  std::string name;
  std::string target;
};

// [console_scripts] and [gui_scripts] of an entry_points.txt. Names keep their case, "%" means
// nothing; comments and lines that are no "name = value" are skipped.
std::vector<ScriptLine> ParseScripts(std::string_view text);

// Whether `module`'s top-level package is in `directory` of the tree, or may be in a directory that
// a .pth file there adds.
Result<bool> HoldsModule(const Tree& tree, std::string_view directory, std::string_view module);

// Whether `directory` itself holds the source or extension of the module "a.b.c", or a package of
// that name.
bool HoldsModuleFile(const Tree& tree, std::string_view directory, std::string_view module);

}  // namespace haft
