// haft build --from: what other tools and earlier builds have made, as the input of a build.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "haft/base/error.h"
#include "haft/format/manifest.h"
#include "haft/tree/tree.h"

namespace haft::cli {

struct ImportedInput {
  // Adds its files where a build has them, packages at site-packages/; returns how many. `progress`
  // gets the number so far.
  std::function<Result<std::uint64_t>(Tree& tree,
                                      const std::function<void(std::uint64_t)>& progress)>
      add_files;
  // What it says about a start of these files: entry, preamble, arguments, python_arguments,
  // environment, isolated, ignore_environment, multi_call, build_id. python.path: the interpreter
  // it was made for, if this host has it.
  format::Manifest manifest;
  bool bundled_python = false;  // it brought its own; that is not among the files
  bool bundled_httpd = false;
};

// `path` is an archive of shiv, pex or zipapp, a wheel, any other zip (its root is a site-packages
// directory), a virtual environment, or a bundle of haft.
Result<ImportedInput> ImportInput(const std::string& path);

}  // namespace haft::cli
