// What an installed bundle is started as. haft/install/installation.h draws the directories.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "haft/format/manifest.h"
#include "haft/launch/environment.h"

namespace haft {

// An installed bundle's own name.
inline constexpr std::string_view kInstalledFile = "bundle";
// Links that start its interpreter.
inline constexpr std::array<std::string_view, 2> kInstalledInterpreters = {"python", "python3"};

// The name of the link in the directory "bin" beside `bundle` through which `executed` (what execve
// was given) leads to it; "" if it does not, or if the file is not installed.
std::string InstalledAs(std::string executed, const std::string& bundle);

// Asks for what the link `name` of the installed `bundle` stands for, as HAFT_SCRIPT and
// HAFT_INTERPRETER do, unless the user asks for something himself. The program learns where its
// interpreter can be started later.
void AskForInstalled(const format::Manifest& manifest, const std::string& name,
                     const std::string& bundle, Environment& environment);

}  // namespace haft
