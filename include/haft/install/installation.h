// Bundles installed below a prefix, so that the paths of their programs stay valid:
//
//   PREFIX/lib/haft/NAME/bundle       the file
//   PREFIX/lib/haft/NAME/bin/COMMAND  links to it: its scripts, "python" and "python3"
//   PREFIX/bin/COMMAND                links to these
//
// A bundle that is started through such a link runs what the link is called
// (haft/launch/installed.h). Nothing else is written: the links are the list of what is installed.
#pragma once

#include <string>
#include <vector>

#include "haft/base/error.h"
#include "haft/format/manifest.h"

namespace haft::install {

struct Installation {
  std::string name;
  std::string bundle;                 // path of the file
  std::vector<std::string> commands;  // in PREFIX/bin, sorted
};

struct Request {
  std::string prefix;  // absolute
  std::string name;    // of the installation
  int file;            // the bundle, open for reading
  const format::Manifest& manifest;
  bool all = false;    // links in PREFIX/bin for all scripts, not only for the entry
  bool force = false;  // replace what is in PREFIX/bin and of somebody else
};

// Replaces an installation of the same name: the file at once, so that what runs goes on with the
// old one. kInvalid, and nothing is changed, if a link would replace what is not of this name.
Result<Installation> Install(const Request& request);
// Sorted by name; none if nothing is installed there.
Result<std::vector<Installation>> List(const std::string& prefix);
// kNotFound if there is no installation of that name.
Result<> Uninstall(const std::string& prefix, const std::string& name);

}  // namespace haft::install
