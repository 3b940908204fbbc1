#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "haft/base/error.h"

namespace haft {

// An installed package of the building host.
struct HostPackage {
  std::string version;
  std::string license;  // short names as its copyright file has them: "GPL-2+, LGPL-2.1"; "" if it
                        // does not tell
  std::string copyright_path;  // of that file; "" if there is none
};

// Who owns files of the building host, as dpkg knows. Where there is no dpkg nobody does.
class PackageDatabase {
 public:
  // Looks up all of `files` (absolute, without symbolic links).
  static Result<PackageDatabase> Query(const std::vector<std::string>& files);

  // Name of the package of one of the files; "" if none has it.
  std::string OwnerOf(const std::string& file) const;
  const std::map<std::string, HostPackage>& packages() const { return packages_; }

 private:
  std::map<std::string, std::string> owners_;
  std::map<std::string, HostPackage> packages_;
};

// The licences a Debian copyright file names (machine-readable format 1.0), in order, each once,
// joined by ", ".
std::string LicensesIn(std::string_view copyright);

}  // namespace haft
