// Where things are in an image and beside its mount: what the builder writes, the start reads and
// the Python modules of a bundle know as well. Paths in the image have no leading slash.
#pragma once

#include <optional>
#include <string_view>

namespace haft::format {

// What haft itself adds to an image. Nothing of the user's is in it.
inline constexpr std::string_view kHaftDirectory = ".haft";
// haft's own Python modules, the modules of a start in one file, and all others in another.
inline constexpr std::string_view kBootstrapDirectory = ".haft/py";
inline constexpr std::string_view kImportIndexPath = ".haft/py/modules.index";
inline constexpr std::string_view kImportRestPath = ".haft/py/modules.rest";
// The file in kHaftDirectory that the server answers itself, and all of its path.
inline constexpr std::string_view kStatsName = "stats";
inline constexpr std::string_view kStatsPath = ".haft/stats";
// What a bundled stack was made of.
inline constexpr std::string_view kStackContents = ".haft/stack.json";
inline bool IsHafts(std::string_view path) {
  return path.starts_with(".haft/");
}
// Code to run before the program: one for Python, with this name and ".py".
inline constexpr std::string_view kPreamble = ".haft/preamble";

// The packages.
inline constexpr std::string_view kSitePackages = "site-packages";

// The bundled interpreter, web server and libraries.
inline constexpr std::string_view kStackRoot = "usr";
inline constexpr std::string_view kHttpdModules = "usr/lib/httpd/modules";
inline constexpr std::string_view kOpensslModules = "usr/lib/ossl-modules";

// In the image of a web application: what its server writes for its own use. Empty; a start mounts
// memory on it.
inline constexpr std::string_view kRuntimeDirectory = ".haft/run";

// Where images are mounted that have no other place: "/run/haft/NAME". In memory, and made by a
// start. Or, where an administrator has made it or there is no /run, "/haft/NAME".
inline constexpr std::string_view kMountParent = "/run/haft";
inline constexpr std::string_view kOtherMountParent = "/haft";

// The type of the mount in /proc/PID/mountinfo.
inline constexpr std::string_view kFileSystemType = "fuse.haft";

// "/run/haft/NAME" of "/run/haft/NAME/.haft/py", which PYTHONPATH of a bundle's program begins
// with; nullopt of any other directory.
inline std::optional<std::string_view> MountOfBootstrap(std::string_view directory) {
  if (!directory.ends_with(kBootstrapDirectory)) return std::nullopt;
  directory.remove_suffix(kBootstrapDirectory.size());
  if (!directory.ends_with('/')) return std::nullopt;
  directory.remove_suffix(1);
  return directory;
}

}  // namespace haft::format
