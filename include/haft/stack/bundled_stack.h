// The interpreter and httpd inside the image, with what they need of the building host. Layout,
// below usr/:
//
//   bin/NAME        haft's launcher, which starts
//   loader/NAME     the C library's dynamic loader (one content, stored once), to run
//   libexec/NAME    the program itself, with the libraries in
//   lib/            *.so.*; lib/python3.X is the standard library, lib/httpd/modules those of httpd
//   conf/           mime.types, where mod_wsgi-express looks for it
//   share/          doc/PACKAGE/copyright of every package something was taken from
//
// `usr` is sys.prefix of the interpreter. Nothing of it depends on where the image gets mounted.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "haft/base/error.h"
#include "haft/python/python_interpreter.h"
#include "haft/stack/elf_file.h"
#include "haft/stack/host_libraries.h"
#include "haft/tree/tree.h"

namespace haft {

// Whether `path` is a program or a loader of a stack: what a start maps, besides shared libraries.
bool IsStackProgram(std::string_view path);

class BundledStack {
 public:
  // `tree` has to outlive it.
  static Result<BundledStack> Begin(Tree& tree);

  // The interpreter and its standard library. Returns the path of its launcher in the image.
  Result<std::string> AddPython(const PythonInterpreter& python);
  // The directory of the standard library in the image, to be compiled; known after AddPython().
  const std::string& standard_library() const { return standard_library_; }

  // httpd, its modules and helper programs. `path` may be empty: it is looked for. Where a mod_wsgi
  // in the tree has noted where it found httpd, the note is replaced.
  Result<> AddHttpd(const std::string& path, std::string_view site_packages);

  // Scripts in bin/ of `site_packages` that start with the line of some Python get this one's at
  // `mount`.
  Result<> RewriteShebangs(std::string_view site_packages, std::string_view mount,
                           std::string_view interpreter);

  // The shared libraries that all ELF files of the tree need and nothing in the tree provides; then
  // what was taken from where. Call it last. Returns a line for each library the host does not have
  // either.
  Result<std::vector<std::string>> Finish();

 private:
  explicit BundledStack(Tree& tree, HostLibraries libraries)
      : tree_(tree), libraries_(std::move(libraries)) {}

  Result<> AddHostFile(const std::string& host_path, const std::string& path);
  Result<> AddHostDirectory(const std::string& host_path, const std::string& path,
                            const std::function<bool(const std::string&)>& skip);
  Result<> AddProgram(const std::string& host_path, const std::string& name);
  Result<> AddAlias(const std::string& alias, const std::string& name);
  // What needs shared libraries.
  struct LibraryUser {
    std::string path;  // in the image; "": what is opened at run time
    ElfFile elf;
  };
  std::vector<LibraryUser> FindLibraryUsers();
  // Returns the library as a user of others.
  Result<std::optional<LibraryUser>> AddLibrary(const std::string& name,
                                                const std::string& host_path);
  Result<> AddContents();

  Tree& tree_;
  HostLibraries libraries_;
  std::string standard_library_;
  std::string loader_;                          // of the host
  std::uint16_t machine_ = 0;                   // of the programs
  std::map<std::string, std::string> origins_;  // path in the image to path on the host
  // Of the files in the tree: a package that brings a library along finds it itself.
  std::set<std::string> library_names_;
};

}  // namespace haft
