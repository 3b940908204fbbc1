// What a bundle starts: from what the user named to the entry of its manifest.
#pragma once

#include <string>
#include <string_view>

#include "haft/build/build_options.h"
#include "haft/format/entry.h"
#include "haft/python/python_interpreter.h"
#include "haft/tree/tree.h"

namespace haft {

// What can be said of the entry before the inputs have been read.
Result<> CheckEntry(const EntryRequest& request);

// Whether the image holds an interpreter.
bool BringsPython(const BuildOptions& options);
// Whether a start finds packages that are installed on the host.
bool SeesHostPackages(const BuildOptions& options);
// Where EntryRequest::executable is in the image.
std::string ImagePathOfExecutable(const EntryRequest& request);

class EntryResolver {
 public:
  // All have to outlive it. REQUIRES: the inputs are in the tree.
  EntryResolver(const BuildOptions& options, const Tree& tree, const PythonInterpreter& python)
      : options_(options), tree_(tree), python_(python) {}

  // The entry that the options ask for; fails if what it starts is nowhere.
  Result<format::Entry> Resolve() const;

 private:
  // "a.b:c", else the module a.b.c, else the function c of the module a.b.
  Result<format::Entry> ResolveEntryPoint(const std::string& text) const;
  // The inputs or the interpreter have the module.
  Result<> Require(const std::string& module) const;

  const BuildOptions& options_;
  const Tree& tree_;
  const PythonInterpreter& python_;
};

}  // namespace haft
