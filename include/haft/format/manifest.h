#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "haft/base/error.h"

namespace haft::format {

// What a start calls. kNone: the image can be mounted and read, not run.
enum class EntryKind { kNone, kFunction, kModule };

struct Entry {
  EntryKind kind = EntryKind::kNone;
  std::string module;
  std::string function;  // kFunction: dotted, may go through attributes ("main", "App.run")
  std::string script;    // the console script asked for, if any
};

// The interpreter an image was built for.
struct PythonTarget {
  std::string path;     // absolute
  std::string version;  // "3.11.2"
  std::string tag;      // sys.implementation.cache_tag, "cpython-311"
  std::string soabi;    // "cpython-311-x86_64-linux-gnu"
};

// The manifest section; docs/format.md lists the members.
struct Manifest {
  std::string name;
  std::string mount;
  Entry entry;
  PythonTarget python;
  std::vector<std::string> paths;  // relative to the root of the image
  std::string builder;
};

std::string ToJson(const Manifest& manifest);
// kCorrupt names the member that is missing or of the wrong type. Checks name and mount (see
// IsBundleName, IsMountPath) because a start uses them as paths.
Result<Manifest> ParseManifest(std::string_view json);

// [A-Za-z0-9._-], 1 to 64 bytes, not starting with '.' or '-'.
bool IsBundleName(std::string_view name);
// Absolute, made of [A-Za-z0-9._/-], no empty, "." or ".." component, not "/".
bool IsMountPath(std::string_view path);

// "certbot (certbot.main:main)", for people.
std::string Describe(const Entry& entry);

}  // namespace haft::format
