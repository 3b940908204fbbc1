#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "haft/trace/trace.h"

namespace haft::trace {

// open() of a file in the image by Python code, outside of imports.
struct Opened {
  int thread;
  Nanoseconds when;
  std::string path;
  std::string module;
};

struct PythonEvents {
  std::vector<Python> pythons;
  std::vector<Import> imports;       // by begin; `self` is set
  std::vector<std::string> sources;  // of each import: the .py file in the image, ""
  std::vector<Opened> opened;
};

// Paths become relative to the root of the image, as the interpreters tell where that is.
PythonEvents ParsePythonEvents(std::string_view text);

}  // namespace haft::trace
