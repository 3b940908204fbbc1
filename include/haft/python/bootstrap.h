#pragma once

#include <span>
#include <string>
#include <string_view>

#include "haft/base/embedded_file.h"
#include "haft/base/error.h"
#include "haft/format/manifest.h"
#include "haft/tree/tree.h"

namespace haft {

// Adds `files` and the generated _haft_bundle.py to format::kBootstrapDirectory, and a script for
// every function that the manifest names (see format::ScriptOf), all with the same attributes
// whenever and wherever haft was built.
Result<> AddBootstrap(Tree& tree, std::span<const EmbeddedFile> files,
                      const format::Manifest& manifest);

// More files for that directory. REQUIRES: AddBootstrap() was called.
Result<> AddBootstrapFiles(Tree& tree, std::span<const EmbeddedFile> files);

// The text of _haft_bundle.py: what the modules have to know of this bundle, as Python literals.
std::string BundleModule(const format::Manifest& manifest);

}  // namespace haft
