// Paths as text, and which of them are programs.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace haft {

// Where programs are looked for when PATH is not set.
inline constexpr std::string_view kDefaultPath = "/usr/local/bin:/usr/bin:/bin";

// "c" of "a/b/c" and of "c"; "" of "a/".
std::string_view BaseName(std::string_view path);
// "a/b" of "a/b/c", "" of "c", "/" of "/c".
std::string_view DirName(std::string_view path);
// "a/b" of "a/b//", "/" of "/".
std::string WithoutTrailingSlashes(std::string path);
// The directory in which the last component of a path is made: "a" of "a/b/", "." of "b", "/" of
// "/b".
std::string ParentDirectory(std::string path);
// "DIRECTORY/NAME", NAME alone if the directory is "".
std::string JoinPath(std::string_view directory, std::string_view name);

// A regular file, perhaps behind symbolic links, that this process may execute. A directory is
// none, although access(2) says X_OK of it.
bool IsExecutableFile(const std::string& path);

// "DIRECTORY/NAME" for each directory of `search_path` (the value of PATH) that is absolute: what
// is found does not depend on where the process is. Whether there is such a file is not looked at.
std::vector<std::string> CandidatesInPath(std::string_view name, std::string_view search_path);
// The first of them that is an executable file, "" if none is.
std::string FindInPath(std::string_view name, std::string_view search_path);

}  // namespace haft
