// What a user changes about one start with HAFT_* variables, and which entry that gives.
#pragma once

#include <string>
#include <string_view>

#include "haft/base/error.h"
#include "haft/format/manifest.h"
#include "haft/launch/environment.h"

namespace haft {

// "" and "0" mean the same as no variable.
struct Overrides {
  std::string script;        // HAFT_SCRIPT: one of the bundle's scripts
  std::string entry_point;   // HAFT_ENTRY_POINT: MODULE:FUNCTION, MODULE, or MODULE.FUNCTION
  bool interpreter = false;  // HAFT_INTERPRETER: Python itself
  std::string python;        // HAFT_PYTHON: the interpreter to use

  // Removes the variables from `environment`: they are for this start, not for what the program
  // starts.
  static Overrides Take(Environment& environment);
};

// What one start runs.
struct EntryChoice {
  format::Entry entry;
  // `entry` is a kModule that may be a function: "a.b.c" is the module a.b.c or, if there is none,
  // the function c of a.b. Only Python can tell.
  bool module_or_function = false;
  // It is the entry the bundle was built with, and gets the arguments the bundle was built with.
  bool built_in = true;
};

// HAFT_INTERPRETER, else HAFT_ENTRY_POINT, else HAFT_SCRIPT, else (in a multi-call bundle) the
// script that `invoked_as` is named like, else the manifest's entry. An unknown script: the error
// lists those there are.
Result<EntryChoice> ChooseEntry(const format::Manifest& manifest, const Overrides& overrides,
                                std::string_view invoked_as);

}  // namespace haft
