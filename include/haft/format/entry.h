// What a start calls: the entry of a bundle and its texts.
#pragma once

#include <string>
#include <string_view>

#include "haft/base/error.h"

namespace haft::format {

enum class EntryKind {
  kNone,         // nothing: the image can be mounted and read, not run
  kFunction,     // call module:function, its value is the exit status
  kModule,       // as `python -m module`
  kScript,       // a file of the image: a program or a script in any language
  kInterpreter,  // Python itself, with the user's arguments
};

struct Entry {
  EntryKind kind = EntryKind::kNone;
  std::string module;
  std::string function;   // kFunction: dotted, may go through attributes ("main", "App.run")
  std::string script;     // the name it was asked for by (console script, file of bin/), if any
  std::string file = {};  // kScript: path in the image (see IsImagePath)
  bool python =
      false;  // kScript: the interpreter runs it; else its "#!" line, or it is an ELF program
};

// "certbot (certbot.main:main)", for people.
std::string Describe(const Entry& entry);

// Identifiers joined by dots. Whether letters beyond ASCII may be in one is left to Python.
bool IsDottedName(std::string_view text);
// Relative, no empty, "." or ".." component, no zero byte.
bool IsImagePath(std::string_view path);

// "package.module:object.attribute". `what` names it in the error.
Result<Entry> ParseFunctionEntry(std::string_view text, std::string_view what);
// "package.module".
Result<Entry> ParseModuleEntry(std::string_view text, std::string_view what);

}  // namespace haft::format
