// What a build is asked for.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "haft/base/error.h"
#include "haft/format/manifest.h"
#include "haft/tree/tree.h"
#include "haft/web/web_application.h"
#include "haft/writer/image_writer.h"

namespace haft {

// What the bundle starts: one of them, or none for the interpreter. entry_point wins over
// console_script.
struct EntryRequest {
  std::string console_script;  // of any distribution in the inputs, or a file of their bin/
  std::string entry_point;     // MODULE:FUNCTION, MODULE.FUNCTION or MODULE
  std::string module;          // as `python -m`
  std::string executable;      // a file of the host, put into the image as bin/NAME
  WebRequest web = {};         // a server with a WSGI or ASGI application
};

// How far a build is; called from the thread that called BuildBundle, at most every 50 ms and at
// the end of each step. `done`/`total` count `unit`s; total is 0 while it is not known ("scan").
struct BuildProgress {
  std::string_view step;  // "scan", "compile", "profile", "compress"
  std::uint64_t done;
  std::uint64_t total;
  std::string_view unit;  // "files", "bytes"
};

// Something that already is a program with its packages: an archive, a virtual environment, a
// bundle.
struct ImportedInput {
  // Adds its files where a build has them (packages at site-packages/), returns how many.
  // `progress` gets the number so far.
  std::function<Result<std::uint64_t>(Tree& tree,
                                      const std::function<void(std::uint64_t)>& progress)>
      add_files;
  // What it says about a start of these files: entry, preamble, arguments, python_arguments,
  // environment, isolated, ignore_environment, multi_call, build_id. python.path: the interpreter
  // it was made for, if this host has it. A build itself takes entry and preamble, where
  // BuildOptions name none.
  format::Manifest manifest;
  bool bundled_python = false;  // it brought its own; that is not among the files
  bool bundled_httpd = false;
};

struct BuildOptions {
  std::optional<ImportedInput> imported;  // the first input
  // The inputs, merged in this order into site-packages/ of the image.
  std::vector<std::string> site_packages;
  std::vector<std::string>
      sources;  // directories of the application; version control and caches are left out
  std::vector<std::string> pip_arguments;  // packages that pip is to install; see PipInstall
  EntryRequest entry;
  std::string python;   // interpreter the bundle is for; asked for its version and used to compile
  std::string runtime;  // file put in front of the image; empty: a bare image, not executable
  std::string output;   // replaced atomically; nothing is left behind by a failed or killed build
  std::string name;     // see format::IsBundleName; the base of its mount path
  std::string mount;    // see format::IsMountPath; empty: /haft/NAME
  bool compile = true;
  Compression compression = Compression::kAuto;
  // What a start needs is recorded by importing the entry (see RecordProfile), or by running the
  // program once for each of these argument strings, and merged with profiles recorded elsewhere.
  bool profile = true;
  std::vector<std::string> profile_runs;
  std::vector<std::string> profile_from;  // files: format::ToJson(Profile)
  bool bundle_python =
      false;  // the image brings interpreter, standard library and libraries; see BundledStack
  bool bundle_httpd = false;  // httpd too; implies bundle_python
  std::string httpd;          // the program to take; empty: Apache's of the host
  std::string preamble;       // a file of the host that runs before the entry
  // As in format::Manifest.
  std::vector<std::string> arguments;
  std::vector<std::string> python_arguments;
  std::vector<format::Variable> environment;
  bool isolated = false;
  bool ignore_environment = false;
  bool multi_call = false;
  std::string build_id;
  unsigned workers = 0;  // 0: one per CPU. The bytes written do not depend on it
  std::function<void(const BuildProgress&)> progress;  // may be empty
};

}  // namespace haft
