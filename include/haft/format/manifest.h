#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "haft/base/error.h"
#include "haft/format/entry.h"

namespace haft::format {

// The interpreter an image was built for.
struct PythonTarget {
  // Absolute: of the host. Relative (see IsMountPath): of the image, which brings its own.
  std::string path;
  std::string version;  // "3.11.2"
  std::string tag;      // sys.implementation.cache_tag, "cpython-311"
  std::string soabi;    // "cpython-311-x86_64-linux-gnu"
};

// One variable of the environment.
struct Variable {
  std::string name;
  std::string value;
};

// What a bundle serves, if it does; `application` is empty if not.
struct WebApplication {
  std::string interface;    // "wsgi" or "asgi"
  std::string application;  // MODULE:CALLABLE, or MODULE:FUNCTION() for what a function returns
  std::string server;       // "httpd", …, unless the user names another
};

// The manifest section; docs/format.md lists the members.
struct Manifest {
  std::string name;
  std::string mount;
  Entry entry;
  std::vector<Entry> scripts =
      {};  // what can be run by name: console scripts, files of bin/; sorted by name
  PythonTarget python;
  std::vector<std::string> paths;           // relative to the root of the image; "" is the root
  std::vector<std::string> arguments = {};  // of the entry, before the user's
  std::vector<std::string> python_arguments = {};  // of the interpreter: "-O", "-X", "dev"
  std::vector<Variable> environment = {};  // set for the program, in this order, whatever was there
  std::vector<std::string> unset = {};     // variables the program does not get
  WebApplication web = {};
  bool isolated = false;            // the program does not see the host's site-packages
  bool ignore_environment = false;  // PYTHON* variables of the user do not reach the program
  bool multi_call = false;          // a bundle started by the name of one of `scripts` runs that
  std::string preamble = {};        // a file of the image that runs before the entry
  std::string build_id = {};        // chosen by who built it, for people
  std::string builder;
};

std::string ToJson(const Manifest& manifest);
// kCorrupt names the member that is missing or of the wrong type. Checks what a start uses as paths
// and variables (see IsBundleName, IsMountPath, IsImagePath, IsVariableName). Unknown members mean
// nothing.
Result<Manifest> ParseManifest(std::string_view json);

// [A-Za-z0-9._-], 1 to 64 bytes, not starting with '.' or '-'.
bool IsBundleName(std::string_view name);
// Absolute, made of [A-Za-z0-9._/-], no empty, "." or ".." component, not "/".
bool IsMountPath(std::string_view path);
// Not empty, no '=' and no zero byte.
bool IsVariableName(std::string_view name);

}  // namespace haft::format
