// The same program, started in different ways.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "haft/base/error.h"
#include "haft/bench/measured_start.h"
#include "haft/launch/environment.h"

namespace haft::bench {

struct Variant {
  std::string name;  // "bundle", "unpacked", "pyz", …
  StartCommand start;
};

// The names of all variants, in the order of the table.
std::vector<std::string> VariantNames();

struct VariantRequest {
  std::string file;                           // a bundle
  std::vector<std::string> arguments;         // of the program
  std::string directory;                      // where to make what is needed; exists, is empty
  std::set<std::string, std::less<>> wanted;  // names; empty: all
};

struct Variants {
  std::vector<Variant> variants;   // "bundle" and "unpacked" first
  std::vector<std::string> notes;  // which ones are left out, and why
};

// Makes the other forms of a bundle. Only "bundle" and "unpacked" are required; what a tool is
// missing for, or what the program cannot be, is left out with a note. `progress` hears what is
// being made.
Result<Variants> MakeVariants(const VariantRequest& request, const Environment& environment,
                              const std::function<void(std::string_view)>& progress);

}  // namespace haft::bench
