// A bundle that serves a web application: `haft build --wsgi MODULE:CALLABLE --server NAME`.
#pragma once

#include <string>
#include <string_view>

#include "haft/base/error.h"
#include "haft/format/entry.h"
#include "haft/pack/python_interpreter.h"
#include "haft/pack/tree.h"

namespace haft {

inline constexpr std::string_view kSiteDirectory = ".haft/serve";

struct Site {
  format::Entry application;  // kFunction
  std::string server;

  // What the bundle starts: haft's program that takes options and becomes the server.
  format::Entry program() const;
};

// `text` is MODULE[:CALLABLE]; without a callable "application".
Result<Site> ParseSite(std::string_view text, std::string_view server);

// Adds that program and a file that says what it serves. Fails if the module of the application or
// that of a Python server is neither in the tree nor known to the interpreter.
Result<> AddSite(Tree& tree, const Site& site, std::string_view site_packages,
                 const PythonInterpreter& python);

}  // namespace haft
